"""Commands in processes of their own that know the narrow backbone, and whose runs are cheap."""

from collections.abc import Callable

from adapters.backbones import registry
from launch import command
from tests import narrow
from tests.cheap_runs import cheap_runs


def run(main: Callable[[list[str]], None]) -> None:
    """Runs a command as `python -m launch.NAME` does."""
    registry.TABLES["narrow"] = lambda: narrow.TABLE
    with cheap_runs():
        command.run(main)
