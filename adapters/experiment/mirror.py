"""A run's folder on object storage: the run works in a folder of this machine, and is copied there.

Object stores have neither renames nor locks, and files do not grow there. So everything is written
here, whole as ever, and copied after each checkpoint and at the end; every object appears whole or
not at all. What vouches for others is copied last: a checkpoint that was copied in part has no seal
that agrees, and a run goes on from the one before.
"""

import hashlib
import os
import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from adapters.errors import ModelPatchError
from adapters.experiment.run_files import RESULTS
from adapters.training.sealed import SUMS

if TYPE_CHECKING:
    from etils import epath

_ADDRESS = re.compile(r"[a-z][a-z0-9]+://[^/]+/.+")
_HIDDEN = ".lock"


class StorageError(ModelPatchError):
    """Object storage cannot be read or written."""


def is_address(place: str | os.PathLike[str]) -> bool:
    """Whether this is a folder on object storage, `gs://BUCKET/RUN`."""
    return _ADDRESS.fullmatch(os.fspath(place)) is not None


class Mirror:
    """A folder of this machine and the one on object storage that is to hold the same.

    Nobody else may write there meanwhile: nothing can hold it.
    """

    def __init__(self, address: str, folder: pathlib.Path):
        """`folder` is empty. Raises StorageError where nothing can reach such addresses."""
        from etils import epath  # here, for runs without

        self._address, self._folder = address, folder
        self._there: dict[str, str] = {}
        try:
            self._place = epath.Path(address)
            self._place.exists()
        except Exception as error:  # of whatever library reaches it
            raise self._failed("reached", error) from error

    def fetch(self) -> None:
        """Fills the folder with what is there. Raises StorageError."""
        try:
            for name, path in _found(self._place):
                target = self._folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
                self._there[name] = _digest(target)
        except Exception as error:
            raise self._failed("read", error) from error

    def push(self) -> None:
        """Copies what is new or different there, and removes what is gone here.

        Raises StorageError.
        """
        here = {
            path.relative_to(self._folder).as_posix(): path
            for path in self._folder.rglob("*")
            if path.is_file() and path.name != _HIDDEN
        }
        try:
            for name in sorted(here, key=lambda name: (_vouches(name), name)):
                digest = _digest(here[name])
                if self._there.get(name) != digest:
                    target = self._place / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(here[name].read_bytes())
                    self._there[name] = digest
            gone = self._there.keys() - here.keys()
            for name in sorted(gone, key=lambda name: (not _vouches(name), name)):
                (self._place / name).unlink()
                del self._there[name]
        except Exception as error:
            raise self._failed("written", error) from error

    def _failed(self, what: str, error: Exception) -> StorageError:
        return StorageError(
            f"{self._address} cannot be {what}: {type(error).__name__}: {error}. Check the "
            "address, who may write there, and that the library for such addresses is installed: "
            "gcsfs for gs://, s3fs for s3://. What was copied before is still there: resume to go "
            "on from it.",
            settings=["directory", "resume"],
        )


def _vouches(name: str) -> bool:
    """Whether a file says of others that they are whole."""
    return pathlib.PurePosixPath(name).name in (SUMS, RESULTS)


def _found(place: "epath.Path", prefix: str = "") -> Iterator[tuple[str, "epath.Path"]]:
    """All files below a folder, by their names in it."""
    if not place.exists():
        return
    for path in place.iterdir():
        if path.is_dir():
            yield from _found(path, f"{prefix}{path.name}/")
        else:
            yield f"{prefix}{path.name}", path


def _digest(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
