"""A full disk ends a save or a record with one sentence; what was saved before stays."""

import collections
import errno
import os
import shutil

import jax.numpy as jnp
import orbax.checkpoint
import pytest

from adapters import files
from adapters.training import checkpoint, metrics

Usage = collections.namedtuple("Usage", "total used free")


def little_space(folder):
    return Usage(100, 99, 1)


def orbax_fails(*arguments, **settings):
    """As tensorstore says it."""
    raise ValueError("RESOURCE_EXHAUSTED: Failed to write 9 bytes [os_error_code='28']")


@pytest.mark.parametrize(
    ("place", "name", "fails"),
    [(shutil, "disk_usage", little_space), (orbax.checkpoint.Checkpointer, "save", orbax_fails)],
    ids=["seen coming", "met"],
)
def test_checkpoints_stay(tmp_path, monkeypatch, place, name, fails):
    checkpoint.save(tmp_path, 1, {"x": jnp.float32(1)}, {}, {})
    with monkeypatch.context() as patched:
        patched.setattr(place, name, fails)
        with pytest.raises(files.NotWrittenError, match=r"step_00000002 cannot .*No space left"):
            checkpoint.save(tmp_path, 2, {"x": jnp.float32(2)}, {}, {})
    assert os.listdir(tmp_path) == ["step_00000001"]
    assert checkpoint.restore(tmp_path, {"x": jnp.float32(0)}, {}).arrays["x"] == 1


def test_metrics_end_the_run_instead_of_holding_it(tmp_path, monkeypatch):
    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with metrics.MetricsWriter(tmp_path) as writer:
        writer.write(1, {"a": 1.0})
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", no_space)
            # More records than tensorboardX's queue holds.
            for step in range(2, 20):
                with pytest.raises(files.NotWrittenError, match="No space left"):
                    writer.write(step, {"a": 1.0})
    assert metrics.read(tmp_path / metrics.FILE)[0] == (1, {"a": 1.0})
