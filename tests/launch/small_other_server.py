"""`launch.benchmarking.serving.other_server` with the narrow backbone."""

from adapters.backbones import registry
from launch import command
from launch.benchmarking.serving import other_server
from tests import narrow

if __name__ == "__main__":
    registry.TABLES["narrow"] = lambda: narrow.TABLE
    command.run(other_server.main)
