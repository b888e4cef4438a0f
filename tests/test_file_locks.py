"""Locks of files, and systems that have none."""

import os
import sys

import pytest

from adapters import file_locks
from adapters.store.folder_lock import exclusive
from adapters.training.lock import lock


def test_one_holds_a_file_alone_or_several_share_it(tmp_path):
    first, second = (os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        assert file_locks.locked(first, shared=True)
        assert file_locks.locked(second, shared=True)
        assert not file_locks.locked(second)
        os.close(first)
        assert file_locks.locked(second)
    finally:
        os.close(second)


def test_a_system_without_such_locks_is_told_what_to_use(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    for held in (lock(tmp_path), exclusive(tmp_path, 1.0)):
        with pytest.raises(file_locks.UnsupportedSystemError, match="use WSL"), held:
            pass
