"""Files that are whole or absent: write aside, fsync, rename. And where the cache lies."""

import contextlib
import errno
import io
import os
import pathlib
import shutil
import stat
import tempfile
from collections.abc import Iterator

from adapters import errors

_SPACE = "Free space on that disk, or choose a folder that you may write to; then run again."
_IN_THE_WAY = (
    "A file stands where a folder is needed, or a folder where a file is: choose another path."
)

_NOT_PLAIN = "this is no regular file"


class NotWrittenError(errors.ModelPatchError):
    """A full disk, a folder that may not be written, or the like."""

    def __init__(self, path: str | os.PathLike[str], reason: str, advice: str = _SPACE):
        super().__init__(
            f"{os.fspath(path)} cannot be written: {reason}. What was there before is untouched. "
            f"{advice}"
        )
        self.path = path


class NotDurableError(errors.ModelPatchError):
    """What was written is in its place, whole, but a loss of power may still take it back."""

    def __init__(self, path: str | os.PathLike[str], reason: str):
        super().__init__(
            f"{os.fspath(path)} is written, but the disk does not confirm its name: {reason}. It "
            "can be used; after a loss of power, what was there before may be back. Check that "
            "disk, then run again."
        )
        self.path = path


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within the block, an OSError is raised as NotWrittenError naming `path`."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise NotWrittenError(path, error.strerror or str(error), _IN_THE_WAY) from error
    except OSError as error:
        raise NotWrittenError(path, error.strerror or str(error)) from error


def cache_directory() -> pathlib.Path:
    """The folder that carriers, converted weights, images and compiled programs are kept in.

    `MODELPATCH_CACHE` moves it; otherwise it is `modelpatch` in the user's cache folder
    (`XDG_CACHE_HOME`, or `~/.cache`). It may be deleted at any time.
    """
    chosen = os.environ.get("MODELPATCH_CACHE")
    if chosen:
        return pathlib.Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(base).expanduser() / "modelpatch"


@contextlib.contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    """A plain file to read. Raises OSError, for a pipe or a device too: it may never end."""
    # Opening a pipe would wait for its writer, were it not for O_NONBLOCK.
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        kind = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(kind):
            said = errno.EISDIR if stat.S_ISDIR(kind) else None
            raise OSError(said or errno.EINVAL, os.strerror(said) if said else _NOT_PLAIN, path)
        yield file


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """The content of a plain file. Raises what `open_regular` does."""
    with open_regular(path) as file:
        return file.read()


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Puts `data` at `path` so that a reader sees the old file or the new one, never a part.

    The bytes are on the disk, and the name in its folder, when this returns. Raises
    NotWrittenError (a full disk, say) with `path` as it was and nothing left beside it; or
    NotDurableError with the new file there, when only the folder could not be synced.
    """
    with writing(path):
        _write_aside(pathlib.Path(path), data)


@contextlib.contextmanager
def new_directory(path: str | os.PathLike[str], replaces: bool = False) -> Iterator[pathlib.Path]:
    """Gives a folder beside `path` to fill; it becomes `path` only when the block ends well.

    With `replaces`, the folder that is there is deleted then; between the two there is none for a
    moment, and a kill in that moment leaves both beside `path`, hidden.

    When another process published `path` meanwhile, its folder stays and ours is dropped: both were
    made from the same pinned input. An OSError, also one in the block, is raised as
    NotWrittenError, with `path` as it was and nothing left beside it; or NotDurableError.
    """
    target = pathlib.Path(path)
    with writing(target), contextlib.ExitStack() as stack:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = pathlib.Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        stack.callback(shutil.rmtree, aside, ignore_errors=True)
        yield aside
        os.chmod(aside, 0o755)
        if replaces and target.is_dir():
            old = pathlib.Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
            os.rename(target, old / target.name)
            stack.callback(shutil.rmtree, old, ignore_errors=True)
        try:
            os.rename(aside, target)
        except OSError:
            if not target.is_dir():
                raise
        _confirm(target)


def sync_directory(path: pathlib.Path) -> None:
    """Makes renames inside the folder `path` survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_aside(target: pathlib.Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)
        os.replace(aside, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)
        raise
    _confirm(target)


def _confirm(target: pathlib.Path) -> None:
    """Syncs the folder that `target` was just renamed into. Raises NotDurableError."""
    try:
        sync_directory(target.parent)
    except OSError as error:
        raise NotDurableError(target, error.strerror or str(error)) from error
