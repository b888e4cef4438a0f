"""`python -m tests.launch.small_evaluate FLAGS` is `launch/evaluate` with the narrow backbone."""

from launch import evaluate
from tests.launch import narrow_command

if __name__ == "__main__":
    narrow_command.run(evaluate.main)
