"""`python -m tests.launch.small_export FLAGS` is `launch/export` with the narrow backbone."""

from launch import export
from tests.launch import narrow_command

if __name__ == "__main__":
    narrow_command.run(export.main)
