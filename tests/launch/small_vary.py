"""`python -m tests.launch.small_vary FLAGS` is `launch/vary` with the narrow backbone.

A process of its own: `launch.train` and `launch.compare` define flags of the same names.
"""

from adapters.backbones import registry
from launch import command, vary
from tests import narrow

if __name__ == "__main__":
    registry.TABLES["narrow"] = lambda: narrow.TABLE
    command.run(vary.main)
