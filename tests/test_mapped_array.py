"""Arrays in files that have no name."""

import errno
import os

import numpy as np
import pytest

from adapters.files import NotWrittenError
from adapters.mapped_array import mapped_array


def test_it_holds_what_is_written_and_leaves_no_file(tmp_path):
    array = mapped_array((3, 4), np.float32, tmp_path)
    assert not array.any()
    array[1] = [1, 2, 3, 4]
    np.testing.assert_array_equal(array[[1, 0]], [[1, 2, 3, 4], [0, 0, 0, 0]])
    assert not [*tmp_path.iterdir()]


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(NotWrittenError, match="No space left"):
        mapped_array((3,), np.uint8, tmp_path)
