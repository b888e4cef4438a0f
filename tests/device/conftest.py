"""The exported backbone; without LiteRT and its converter, these tests have nothing to run."""

import importlib.util

import pytest

from adapters.runtime import graph_file
from adapters.runtime.device import Device
from tests.device import exported

NEEDED = ("ai_edge_litert", "litert_converter")  # `launch/test` installs both


@pytest.fixture(scope="package", autouse=True)
def _litert():
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")


@pytest.fixture(scope="package")
def backbone(tmp_path_factory):
    """The exported narrow backbone's file."""
    path = tmp_path_factory.mktemp("backbone") / "narrow.tflite"
    graph_file.write_graph(path, exported.graph())
    return path


@pytest.fixture
def device(backbone):
    return Device(backbone)
