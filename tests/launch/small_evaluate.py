"""`python -m tests.launch.small_evaluate FLAGS` is `launch/evaluate` with the narrow backbone."""

from adapters.backbones import registry
from launch import command, evaluate
from tests import narrow

if __name__ == "__main__":
    registry.TABLES["narrow"] = lambda: narrow.TABLE
    command.run(evaluate.main)
