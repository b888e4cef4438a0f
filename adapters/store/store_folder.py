"""A store's files on disk: written before they are named, renamed whole, swept afterwards.

    STORE/patches/TASK/SHA256.patch   the patches, each named after its own bytes and never changed
    STORE/state/TASK.record           which of them is current, which previous, the highest version
    STORE/state/backbone              the backbone that all of them are for
    STORE/state/keyed                 there once a patch was installed by trusted keys
    STORE/state/.lock                 held while anything here is changed

Nothing here knows what a good patch is; `installed.Store` does.
"""

import contextlib
import hashlib
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Iterator

from adapters import files, names
from adapters.store.errors import (
    DigestError,
    MissingFileError,
    NotRegularFileError,
    PatchFileError,
    TooLargeError,
    naming,
)
from adapters.store.folder_lock import exclusive
from adapters.store.read import read_bytes
from adapters.store.record import (
    SIZE_LIMIT,
    Entry,
    Record,
    RecordError,
    decode_record,
    encode_record,
)
from adapters.store.sealed import seal
from adapters.store.store_backbone import (
    StoreBackbone,
    StoreBackboneError,
    decode_backbone,
    encode_backbone,
)

_RECORD = ".record"
_BACKBONE, _KEYED = "backbone", "keyed"
_OURS = re.compile(r"\.?[0-9a-f]{64}\.patch(\..*)?").fullmatch  # a patch, or one half-written
_ASIDE = re.compile(rf"\.(.*{re.escape(_RECORD)}|{_BACKBONE}|{_KEYED})\..*", re.DOTALL).fullmatch


class StoreFolder:
    """The files below one folder."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        self._patches, self._state = root / "patches", root / "state"

    @contextlib.contextmanager
    def changing(self, patience: float) -> Iterator[None]:
        """Holds the folder, made when missing, alone within the block: for `put` and `switch`.

        Raises StoreInUseError after `patience` seconds, NotWrittenError or NotDurableError.
        """
        # No record: an earlier call may have been killed before it synced the folders that it made.
        _make_folder(self._patches, sure=bool(self.tasks()))
        _make_folder(self._state, sure=True)  # all that is above it was just synced
        for folder in (self._patches, self._state):
            _check_no_link(folder)
        with exclusive(self._state, patience):
            yield

    def record(self, task: str) -> Record | None:
        """What is remembered of `task`, if anything.

        Raises RecordError, UnreadableFileError or NotRegularFileError.
        """
        if not names.is_file_name(task):
            return None
        path = self._record_path(task)
        try:
            data = read_bytes(path, SIZE_LIMIT)
        except MissingFileError:
            return None
        except TooLargeError as error:
            raise RecordError(str(path), error.reason) from error
        return decode_record(data, task, str(path))

    def backbone(self) -> StoreBackbone | None:
        """The backbone that was put here, if any.

        Raises StoreBackboneError, UnreadableFileError or NotRegularFileError.
        """
        path = self._state / _BACKBONE
        try:
            data = read_bytes(path, SIZE_LIMIT)
        except MissingFileError:
            return None
        except TooLargeError as error:
            raise StoreBackboneError(str(path), error.reason) from error
        return decode_backbone(data, str(path))

    def put_backbone(self, backbone: StoreBackbone) -> None:
        """Replaces what is remembered of the backbone, like `files.write_bytes`."""
        files.write_bytes(self._state / _BACKBONE, encode_backbone(backbone))

    def is_keyed(self) -> bool:
        """Whether patches were installed here by trusted keys."""
        return os.path.lexists(self._state / _KEYED) and bool(self.tasks())

    def put_keyed(self) -> None:
        """Remembers that keys were trusted here, like `files.write_bytes`."""
        files.write_bytes(self._state / _KEYED, seal({"schema": 1}))

    def tasks(self) -> tuple[str, ...]:
        """The tasks that something is remembered of, by name; those of damaged records too."""
        if not self._state.is_dir():
            return ()
        found = (path.stem for path in self._state.iterdir() if path.suffix == _RECORD)
        return tuple(sorted(filter(names.is_file_name, found)))

    def path(self, task: str, entry: Entry) -> pathlib.Path:
        """Where a patch lies."""
        return self._patches / task / f"{entry.sha256}.patch"

    def read(self, task: str, entry: Entry) -> bytes:
        """The bytes of a patch, those that were put there.

        Raises DigestError for any others, MissingFileError, UnreadableFileError.
        """
        path = self.path(task, entry)
        data = read_bytes(path)
        if sha256(data) != entry.sha256:
            with naming(path):
                raise DigestError("the file is not the one that was installed")
        return data

    def holds(self, task: str, entry: Entry) -> bool:
        """Whether a patch still has all its bytes."""
        try:
            self.read(task, entry)
        except PatchFileError:
            return False
        return True

    def put(self, task: str, entry: Entry, data: bytes) -> None:
        """Adds a patch, which is nobody's before `switch` names it. Like `files.write_bytes`."""
        path = self.path(task, entry)
        _make_folder(path.parent, sure=self._record_path(task).exists())
        _check_no_link(path.parent)
        files.write_bytes(path, data)

    def switch(self, record: Record) -> None:
        """Replaces what is remembered of a task: here another patch becomes its current one.

        Then deletes the patches that the record does not name, and what killed calls left. Raises
        NotWrittenError, or NotDurableError when the new record is in place.
        """
        files.write_bytes(self._record_path(record.task), encode_record(record))
        kept = {self.path(record.task, entry).name for entry in record.entries}
        _sweep(self._patches / record.task, lambda name: bool(_OURS(name)) and name not in kept)
        _sweep(self._state, lambda name: bool(_ASIDE(name)))

    def _record_path(self, task: str) -> pathlib.Path:
        return self._state / f"{task}{_RECORD}"


def _sweep(folder: pathlib.Path, unwanted: Callable[[str], bool]) -> None:
    """Deletes files of `folder` by their names; never through a link, and nothing but files.

    A file that stays is deleted after the next change: this one is done.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        with os.scandir(descriptor) as entries:
            names_of_files = [
                entry.name for entry in entries if entry.is_file(follow_symlinks=False)
            ]
        for name in filter(unwanted, names_of_files):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _check_no_link(folder: pathlib.Path) -> None:
    """Raises NotRegularFileError for a link: what lies where it leads is not the store's."""
    if folder.is_symlink():
        raise NotRegularFileError(
            f"{folder} is a link, which a store does not follow; put a folder there"
        )


def sha256(data: bytes) -> str:
    """The sha256 of `data`, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _make_folder(folder: pathlib.Path, sure: bool) -> None:
    """Makes `folder` and those above it, each durably: a synced file in a lost folder is lost.

    `sure` says that those that are there were made durably; otherwise they are synced again, up to
    where the file system begins: above, nobody makes folders for a store.
    """
    with files.writing(folder):
        below = itertools.takewhile(
            lambda path: not os.path.ismount(path), (folder, *folder.parents)
        )
        for path in reversed(list(below)):
            made = not path.is_dir()
            if made:
                path.mkdir(exist_ok=True)
            if made or not sure:
                _sync(path.parent, made)


def _sync(folder: pathlib.Path, made: bool) -> None:
    try:
        files.sync_directory(folder)
    except PermissionError:
        if made:
            raise
        # We may not read it, so this is no folder of ours.
