"""One writer at a time in a folder, across processes."""

import contextlib
import os
import pathlib
import time
from collections.abc import Iterator

from adapters import file_locks, files
from adapters.errors import ModelPatchError

NAME = ".lock"
# Seconds between two tries: shorter than an installation, so that all who wait get their turn.
_PAUSE = 0.001


class StoreInUseError(ModelPatchError):
    """Another process holds the store for longer than an installation takes."""


@contextlib.contextmanager
def exclusive(folder: pathlib.Path, patience: float) -> Iterator[None]:
    """Holds the existing `folder` alone within the block, after waiting `patience` seconds at most.

    The operating system holds the lock and releases it when the process ends, even by a kill; the
    file `.lock` stays behind and means nothing by itself. Its owner alone may open it: whoever can
    read a file can lock it. Raises StoreInUseError when the time is over, NotWrittenError when the
    folder may not be written or locked.
    """
    with files.writing(folder):
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + patience
        with files.writing(folder):
            while not file_locks.locked(descriptor):
                if time.monotonic() > deadline:
                    raise StoreInUseError(
                        f"another process has been changing {folder} for {patience:g} seconds; "
                        "wait for it to end, or end it, and try again."
                    )
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)
