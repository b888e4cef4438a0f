"""What a store remembers of a task: which patch answers, which one before it, the highest version.

The file is sealed (`sealed`): one flipped bit must not lower the highest version, nor point at
another patch. It is small and replaced whole, so that changing what answers is one rename.

It is of schema 1 until a release is counted, and of schema 2 from then on.
"""

import dataclasses
import re
from typing import Any

from adapters.errors import ModelPatchError
from adapters.store.errors import PatchFileError
from adapters.store.release import Counted, Release
from adapters.store.sealed import seal, unseal
from adapters.store.versions import version_key

SIZE_LIMIT = 2**14
_SCHEMA, _COUNTED_SCHEMA = 1, 2
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RecordError(ModelPatchError):
    """A store's record of a task is damaged or written by a later version."""

    def __init__(self, path: str, reason: str):
        super().__init__(
            f"{path}: {reason}. Nothing is active for the task, and nothing can be installed: the "
            "record says which versions are too old. Upgrade modelpatch if a later one wrote it; "
            "otherwise delete this file and install the latest patch again."
        )
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type["RecordError"], tuple[str, str]]:
        return type(self), (self.path, self.reason)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One installed patch.

    Attributes:
      sha256: of the file's bytes, in hexadecimal.
      signature: the content of its signature file, if it came with one.
    """

    sha256: str
    signature: str | None


@dataclasses.dataclass(frozen=True)
class Record:
    """All that is remembered of one task.

    Attributes:
      task: its name.
      highest: the highest version ever installed, or, where a release is counted, the version of
        the latest release.
      current: the patch that answers; None when it was removed.
      previous: the one to fall back to.
      counted: the releases, where one was installed by trusted keys.
    """

    task: str
    highest: str
    current: Entry | None
    previous: Entry | None
    counted: Counted | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Current and previous, as far as they are there: the order of falling back."""
        return tuple(entry for entry in (self.current, self.previous) if entry is not None)


def encode_record(record: Record) -> bytes:
    """The bytes of the record's file."""
    value = dataclasses.asdict(record)
    counted = value.pop("counted")
    if counted is None:
        return seal({"schema": _SCHEMA, **value})
    return seal({"schema": _COUNTED_SCHEMA, **value, "counted": counted})


def decode_record(data: bytes, task: str, path: str) -> Record:
    """The record of `task` whose file at `path` holds `data`.

    Raises RecordError for anything but what `encode_record` gives for this task.
    """
    try:
        value = unseal(data)
        schema = value.pop("schema", None) if isinstance(value, dict) else None
        if schema not in (_SCHEMA, _COUNTED_SCHEMA):
            raise RecordError(
                path, f"the record follows neither schema {_SCHEMA} nor {_COUNTED_SCHEMA}"
            )
        current, previous = value.pop("current"), value.pop("previous")
        counted = _counted(value.pop("counted")) if schema == _COUNTED_SCHEMA else None
        record = Record(
            **value, current=_entry(current), previous=_entry(previous), counted=counted
        )
        version_key(record.highest)
    except PatchFileError as error:
        raise RecordError(path, f"the record is damaged: {error.reason}") from error
    except (KeyError, TypeError) as error:
        raise RecordError(path, f"the record cannot be understood: {error}") from error
    if record.task != task:
        raise RecordError(path, f"this is the record of {record.task!r}, not of {task!r}")
    return record


def _counted(value: Any) -> Counted:
    counted = Counted(**value)
    # A release of the same fields refuses what is no number.
    Release(counted.number)
    if not isinstance(counted.sha256, str) or not _SHA256.fullmatch(counted.sha256):
        raise TypeError(f"{counted.sha256!r} is no sha256")
    if not isinstance(counted.withdrawn, list):
        raise TypeError(f"{counted.withdrawn!r} are no releases")
    return dataclasses.replace(
        counted, withdrawn=tuple(Release(number).number for number in counted.withdrawn)
    )


def _entry(value: Any) -> Entry | None:
    if value is None:
        return None
    entry = Entry(**value)
    # It becomes a file's name.
    if not _SHA256.fullmatch(entry.sha256):
        raise TypeError(f"{entry.sha256!r} is no sha256")
    if not isinstance(entry.signature, str | None):
        raise TypeError(f"{entry.signature!r} is no signature")
    return entry
