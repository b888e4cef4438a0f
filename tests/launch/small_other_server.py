"""`adapters.benchmarking.serving.other_server` with the narrow backbone."""

from adapters.benchmarking.serving import other_server
from tests.launch import narrow_command

if __name__ == "__main__":
    narrow_command.run(other_server.main)
