"""Where LiteRT and its converter are not installed, these tests have nothing to run."""

import importlib.util

import pytest

NEEDED = ("ai_edge_litert", "litert_converter")  # `launch/test` installs both


@pytest.fixture(scope="package", autouse=True)
def _litert():
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")
