"""`python -m tests.launch.small_serve FLAGS` is `launch/serve` with the narrow backbone."""

from launch import serve
from tests.launch import narrow_command

if __name__ == "__main__":
    narrow_command.run(serve.main)
