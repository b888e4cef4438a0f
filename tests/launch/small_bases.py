"""`python -m tests.launch.small_bases FLAGS` is `launch/bases` with the narrow backbone."""

from launch import bases
from tests.launch import narrow_command

if __name__ == "__main__":
    narrow_command.run(bases.main)
