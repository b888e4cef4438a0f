"""`python -m tests.launch.small_export FLAGS` is `launch/export` with the narrow backbone."""

from adapters.backbones import registry
from launch import command, export
from tests import narrow

if __name__ == "__main__":
    registry.TABLES["narrow"] = lambda: narrow.TABLE
    command.run(export.main)
