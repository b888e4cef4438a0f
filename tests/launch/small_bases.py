"""`python -m tests.launch.small_bases FLAGS` is `launch/bases` with the narrow backbone."""

from adapters.backbones import registry
from launch import bases, command
from tests import narrow

if __name__ == "__main__":
    registry.TABLES["narrow"] = lambda: narrow.TABLE
    command.run(bases.main)
