"""`python -m tests.launch.small_install FLAGS` is `launch/install` with the narrow backbone."""

from adapters.backbones import registry
from launch import command, install
from tests import narrow

if __name__ == "__main__":
    registry.TABLES["narrow"] = lambda: narrow.TABLE
    command.run(install.main)
