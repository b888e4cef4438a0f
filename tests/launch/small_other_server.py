"""`adapters.benchmarking.serving.other_server` with the narrow backbone."""

from adapters.backbones import registry
from adapters.benchmarking.serving import other_server
from launch import command
from tests import narrow

if __name__ == "__main__":
    registry.TABLES["narrow"] = lambda: narrow.TABLE
    command.run(other_server.main)
