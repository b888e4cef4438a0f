"""One run at a time in an output folder."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from adapters import errors, file_locks, files


class FolderInUseError(errors.ModelPatchError):
    """Another run writes this output folder."""

    def __init__(self, directory: pathlib.Path, holder: str):
        super().__init__(
            f"another run ({holder or 'unknown process'}) is writing {directory}; "
            "wait for it to end, or choose another output folder."
        )
        self.directory = directory


@contextlib.contextmanager
def lock(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Holds `directory` (made when missing) for this run; its end, even by a kill, releases it.

    The file `.lock` in it stays behind and means nothing by itself: the operating system holds
    the lock. Raises FolderInUseError at once when another run holds it, NotWrittenError when the
    folder cannot be made or written.
    """
    root = pathlib.Path(directory)
    with files.writing(root):
        root.mkdir(parents=True, exist_ok=True)
        # Its owner alone may open it: whoever can read a file can lock it.
        descriptor = os.open(root / ".lock", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "a+")
        os.fchmod(descriptor, 0o600)
    with file:
        if not file_locks.locked(descriptor):
            file.seek(0)
            raise FolderInUseError(root, file.read().strip())
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        yield


def is_held(directory: str | os.PathLike[str]) -> bool:
    """Whether a run is writing `directory` now.

    Asking takes the lock for a moment, beside others who ask, where no run holds it.
    """
    try:
        file = open(pathlib.Path(directory) / ".lock")  # noqa: SIM115, closed below
    except FileNotFoundError:
        return False
    with file:
        return not file_locks.locked(file.fileno(), shared=True)
