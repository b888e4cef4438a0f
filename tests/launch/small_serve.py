"""`python -m tests.launch.small_serve FLAGS` is `launch/serve` with the narrow backbone."""

from adapters.backbones import registry
from launch import command, serve
from tests import narrow

if __name__ == "__main__":
    registry.TABLES["narrow"] = lambda: narrow.TABLE
    command.run(serve.main)
