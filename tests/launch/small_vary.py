"""`python -m tests.launch.small_vary FLAGS` is `launch/vary` with the narrow backbone.

A process of its own: `launch.train` and `launch.compare` define flags of the same names.
"""

from launch import vary
from tests.launch import narrow_command

if __name__ == "__main__":
    narrow_command.run(vary.main)
