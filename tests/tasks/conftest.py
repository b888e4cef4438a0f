"""Each test of tasks has a cache and a registry of its own."""

import pytest

from tasks import registry


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("MODELPATCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fresh_registry(monkeypatch):
    """Whatever a test registers is forgotten after it."""
    registry.known()
    monkeypatch.setattr(registry, "_TASKS", dict(registry._TASKS))
