"""`python -m tests.launch.small_install FLAGS` is `launch/install` with the narrow backbone."""

from launch import install
from tests.launch import narrow_command

if __name__ == "__main__":
    narrow_command.run(install.main)
