"""The patches of a device: installed whole or not at all, and never answering wrongly.

A patch is installed in this order: its bytes are read once; signature, contents, shapes,
fingerprint and parity are checked on those very bytes; they are written aside, synced, renamed, and
their folder synced; then the record is replaced in the same way (`store_folder` draws the folder).
That last rename is the one moment in which another patch becomes the task's: a kill, a full disk or
a loss of power before it leaves the old one active, and after it the new one. Files that the record
does not name are deleted by the task's next change.

What is installed only rises: by the release that a trusted key's signature states, or else by the
version. A file without a stated release (unsigned, or signed before there were releases) is taken
until one was counted for its task; from then on releases alone count, and versions say nothing. The
record lies outside the folder of the patches, so that emptying that folder, or restoring an old
copy of it, brings nothing older back.

A store that was once filled by trusted keys opens without keys only for who says so.

All patches of a store are for one backbone, that of its first installation.

Starting up trusts nothing that was checked before: `Store.active` checks the current patch again,
its signature included, falls back to the previous one, and then to none.
"""

import dataclasses
import os
import pathlib
import time
from collections.abc import Callable, Mapping

from adapters.errors import ModelPatchError
from adapters.store.contents import PatchContents
from adapters.store.errors import (
    ExpiredError,
    NotRunnableError,
    OlderReleaseError,
    PatchFileError,
    WrongTaskError,
    naming,
)
from adapters.store.kinds import Shape
from adapters.store.read import decode_patch, read_bytes
from adapters.store.record import Entry, Record, RecordError
from adapters.store.release import Counted, Release, followed
from adapters.store.signature import belongs, read_signature, stated_number, verify
from adapters.store.store_backbone import OtherBackboneError, StoreBackbone
from adapters.store.store_folder import StoreFolder, sha256
from adapters.store.trust import Trusted
from adapters.store.versions import check_not_older, version_key

PATIENCE = 10.0  # seconds to wait for another process; writing a patch takes milliseconds


class KeysNeededError(ModelPatchError):
    """A store that was filled by trusted keys is opened without any."""

    settings = ("trusted", "accept_unsigned")


class NotInstalledError(ModelPatchError):
    """A task has no patch here, or none to go back to."""


@dataclasses.dataclass(frozen=True, eq=False)
class Checks:
    """What a patch must pass to be used on this machine; see `read.read_patch` for each.

    Attributes:
      shapes: `{module: {leaf: shape}}` of the backbone.
      features: the width of what the backbone gives the head.
      backbone: the backbone, by its name and the fingerprint of its weights.
      self_test: runs last and raises a PatchFileError; it must compare the patched network's logits
        with the file's (see `adapters.inference.self_test`). Any other error is a refusal as well.
    """

    shapes: Mapping[str, Mapping[str, Shape]]
    features: int
    backbone: StoreBackbone
    self_test: Callable[[PatchContents], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Active:
    """What answers for a task.

    Attributes:
      contents: the patch; None when no patch passes, and then the task must not be answered.
      refused: why patches before it in the order current, previous were passed over; when empty,
        `contents` is the current patch.
      path: the patch's file, for what takes files; it stays until the task's next change. Whoever
        reads it again checks no signature.
      expired: where the time is over for which the patch's maker vouches for it: it answers still,
        but a later one should have come.
    """

    contents: PatchContents | None
    refused: tuple[ModelPatchError, ...] = ()
    path: pathlib.Path | None = None
    expired: ExpiredError | None = None


class Store:
    """The installed patches below one folder, for one backbone."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        checks: Checks,
        *,
        trusted: Trusted | None,
        accept_unsigned: bool = False,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
    ):
        """A store in `directory`, which `install` makes when it is missing.

        Args:
          directory: of the store alone.
          checks: what every patch must pass, when it is installed and at every start.
          trusted: the keys of `keys.read_trusted_keys`; None accepts unsigned patches too, and
            checks no signature.
          accept_unsigned: whether to do without keys even where patches were installed by some.
          patience: seconds to wait while another process changes the store.
          clock: gives the seconds since 1970, for patches that expire.

        Raises KeysNeededError.
        """
        self._folder = StoreFolder(pathlib.Path(directory))
        self._checks, self._trusted, self._patience = checks, trusted, patience
        self._keys_needed, self._clock = trusted is None and not accept_unsigned, clock
        self._check_keys()

    def install(self, path: str | os.PathLike[str]) -> PatchContents:
        """Makes the patch at `path`, with the signature beside it, its task's current one.

        The patch that was current becomes the previous one. Installing the current patch again
        changes nothing but its signature, if it comes with another one that belongs to it.

        Raises:
          PatchFileError: the patch is refused: unsigned, damaged, for another backbone, older than
            one installed before, ...: one class each, see `adapters.store.errors`.
          NotWrittenError, NotDurableError: the disk refuses. Old or new is active; never anything
            else.
          StoreInUseError: another process did not end changing the store.
          OtherBackboneError: the store's patches are for another backbone.
          RecordError, StoreBackboneError: what the store remembers is damaged.
        """
        with naming(path):
            return self.install_bytes(read_bytes(path), read_signature(path))

    def install_bytes(
        self, data: bytes, signature: bytes | None, task: str | None = None
    ) -> PatchContents:
        """Like `install`, of a patch file and a signature file of these bytes, however they came.

        Args:
          data: of the patch file.
          signature: of its signature file, if there is one.
          task: the one that the patch must be for; None takes any.

        Raises what `install` raises, naming no path; WrongTaskError for a patch of another task.
        """
        self._check_backbone()
        contents, release = self._decode(data, signature, self._checks.self_test, task)
        version_key(contents.task_version)
        if expired := self._expired(release):
            raise expired
        entry = Entry(sha256(data), _worth_keeping(data, signature))
        with self._folder.changing(self._patience):
            self._check_keys()
            record = self._folder.record(contents.task)
            counted = self._followed(record, contents.task_version, release, entry.sha256)
            entry = _as_signed_before(entry, record)
            previous = self._to_fall_back_to(record, entry, counted)
            if self._check_backbone() is None:
                self._folder.put_backbone(self._checks.backbone)
            if self._trusted is not None and not self._folder.is_keyed():
                self._folder.put_keyed()
            self._folder.put(contents.task, entry, data)
            self._folder.switch(
                Record(contents.task, contents.task_version, entry, previous, counted)
            )
        return contents

    def active(self, task: str) -> Active:
        """The patch that answers for `task`, having passed every check again.

        Raises nothing of this project: what is wrong stands in the result's `refused`. For a task
        that was never installed there is no patch and nothing wrong.
        """
        try:
            record = self._folder.record(task)
            found = self._first_good(task, record)
            # An installer may have deleted, meanwhile, what the record of before names.
            while found.refused and record != (latest := self._folder.record(task)):
                record, found = latest, self._first_good(task, latest)
        except (RecordError, PatchFileError) as error:
            return Active(None, (error,))
        return found

    def tasks(self) -> tuple[str, ...]:
        """The tasks that were installed here, by name: `active` says whether they have a patch."""
        return self._folder.tasks()

    def is_signed(self, task: str) -> bool:
        """Whether a patch of `task` is here that came with a signature. Raises RecordError."""
        record = self._folder.record(task)
        return record is not None and any(entry.signature for entry in record.entries)

    def roll_back(self, task: str) -> PatchContents:
        """Makes the previous patch of `task` current, and the current one previous.

        For the owner of the device, who finds that a patch is worse than the one before: the
        highest version stays, so no file of an older version can be installed.

        Raises NotInstalledError without a previous patch, and what `install` raises.
        """
        self._check_backbone()
        while True:
            record = self._folder.record(task)
            if record is None or record.previous is None:
                raise NotInstalledError(f"{self._folder.root} holds no previous patch of {task!r}.")
            try:
                # Before the folder is held: a self-test may compile for longer than others wait.
                contents, _ = self._read(task, record.previous)
            except PatchFileError:
                if self._folder.record(task) == record:
                    raise
                continue  # an installer deleted, meanwhile, what the record of before names
            with self._folder.changing(self._patience):
                if self._folder.record(task) == record:
                    self._folder.switch(
                        dataclasses.replace(
                            record, current=record.previous, previous=record.current
                        )
                    )
                    return contents

    def remove(self, task: str) -> None:
        """Deletes the patches of `task`; its highest version stays known.

        Raises NotInstalledError without a patch, NotWrittenError, StoreInUseError or RecordError.
        """
        # Looked up before, too: holding a folder makes it, also one whose name is mistyped.
        self._some_patch(task)
        with self._folder.changing(self._patience):
            record = self._some_patch(task)
            self._folder.switch(dataclasses.replace(record, current=None, previous=None))

    def _check_keys(self) -> None:
        if self._keys_needed and self._folder.is_keyed():
            raise KeysNeededError(
                f"the patches in {self._folder.root} were installed by keys that were trusted, and "
                "nobody could tell them from others now: give those keys, or say that unsigned "
                "patches are welcome."
            )

    def _expired(self, release: Release | None) -> ExpiredError | None:
        return None if release is None else release.expired(self._clock())

    def _followed(
        self, record: Record | None, version: str, release: Release | None, digest: str
    ) -> Counted | None:
        """The releases with this one; raises OlderVersionError, or what `release.followed` does."""
        counted = None if record is None else record.counted
        if release is not None:
            return followed(counted, release, digest)
        if self._trusted is not None and counted is not None:
            raise OlderReleaseError(
                f"the patch is signed without a release, {counted.number} was installed"
            )
        if record is not None:
            check_not_older(version, record.highest)
        return counted

    def _check_backbone(self) -> StoreBackbone | None:
        """The backbone that the store belongs to, if it does; OtherBackboneError if not ours."""
        known, ours = self._folder.backbone(), self._checks.backbone
        # A first installation that was killed leaves a backbone and nothing that is for it.
        if known is None or (known != ours and not self._folder.tasks()):
            return None
        if known.fingerprint != ours.fingerprint:
            raise OtherBackboneError(
                f"the patches in {self._folder.root} are for {known.name} "
                f"{known.fingerprint[:12]}, not for {ours.name} {ours.fingerprint[:12]}: give that "
                "backbone and its weights, or another folder."
            )
        return known

    def _some_patch(self, task: str) -> Record:
        """The record of a task that has a patch here; raises NotInstalledError."""
        record = self._folder.record(task)
        if record is None or not record.entries:
            raise NotInstalledError(f"{self._folder.root} holds no patch of {task!r}.")
        return record

    def _decode(
        self,
        data: bytes,
        signature: bytes | None,
        self_test: Callable[[PatchContents], None] | None,
        task: str | None,
    ) -> tuple[PatchContents, Release | None]:
        """The patch, and what a trusted key says of it."""
        # Before anything else: what nobody vouches for is not interpreted.
        vouched = None if self._trusted is None else verify(data, signature, self._trusted)

        def last(contents: PatchContents) -> None:
            check_task(contents, task)
            if vouched is not None:
                vouched.key.check_may_sign(contents.task)
            if self_test is not None:
                self_test(contents)

        try:
            contents = decode_patch(
                data,
                shapes=self._checks.shapes,
                features=self._checks.features,
                fingerprint=self._checks.backbone.fingerprint,
                check_parity=last,
            )
            return contents, None if vouched is None else vouched.release
        except ModelPatchError:
            raise
        # Nobody foresaw what a library makes of this patch: the one before it shall answer.
        except Exception as error:
            raise NotRunnableError(
                f"trying the patch ended in {type(error).__name__}: {error}".rstrip(" .:")
            ) from error

    def _first_good(self, task: str, record: Record | None) -> Active:
        refused: list[ModelPatchError] = []
        for entry in record.entries if record else ():
            try:
                contents, release = self._read(task, entry)
                path = self._folder.path(task, entry)
                return Active(contents, tuple(refused), path, self._expired(release))
            except ModelPatchError as error:
                refused.append(error)
        return Active(None, tuple(refused))

    def _read(self, task: str, entry: Entry) -> tuple[PatchContents, Release | None]:
        """An installed patch, through every check."""
        return self._stored(task, entry, self._checks.self_test)

    def _stored(
        self, task: str, entry: Entry, self_test: Callable[[PatchContents], None] | None
    ) -> tuple[PatchContents, Release | None]:
        data = self._folder.read(task, entry)
        signature = None if entry.signature is None else entry.signature.encode("utf-8")
        with naming(self._folder.path(task, entry)):
            return self._decode(data, signature, self_test, task)

    def _to_fall_back_to(
        self, record: Record | None, new: Entry, counted: Counted | None
    ) -> Entry | None:
        """The first patch of `record` that is not the new one and would be accepted now.

        None that its maker took back. What only running it shows is not asked: others wait for the
        folder. Where none would be accepted, it is the first that has all its bytes: it may be,
        under other keys.
        """
        if record is None:
            return None
        # A damaged or revoked patch must not push out the good one behind it.
        withdrawn = () if counted is None else counted.withdrawn
        others = [
            entry
            for entry in record.entries
            if entry.sha256 != new.sha256 and _number(entry) not in withdrawn
        ]
        for accepts in (self._vouched, self._folder.holds):
            for entry in others:
                if accepts(record.task, entry):
                    return entry
        return None

    def _vouched(self, task: str, entry: Entry) -> bool:
        """Whether an installed patch passes every check but the self-test."""
        try:
            self._stored(task, entry, self_test=None)
        except ModelPatchError:
            return False
        return True


def check_task(contents: PatchContents, task: str | None) -> None:
    """Raises WrongTaskError for a patch of another task than `task`, if there is one."""
    if task is not None and contents.task != task:
        raise WrongTaskError(f"the patch is of the task {contents.task!r}, not of {task!r}")


def _number(entry: Entry) -> int | None:
    """Of the release that an installed patch is, whoever signed it."""
    return None if entry.signature is None else stated_number(entry.signature.encode("utf-8"))


def _as_signed_before(entry: Entry, record: Record | None) -> Entry:
    """`entry`, with the signature that `record` has of the same bytes where it comes with none.

    Whoever installs a patch again without its signature does not take that back.
    """
    for known in record.entries if record else ():
        if entry.signature is None and known.sha256 == entry.sha256:
            entry = known
    return entry


def _worth_keeping(data: bytes, signature: bytes | None) -> str | None:
    """The signature as text, if it can ever vouch for these bytes, whichever keys are trusted.

    A store without keys looks at none; but one that belongs to another patch must not take the
    place of the one that `data` came with before.
    """
    if signature is None or not belongs(data, signature):
        return None
    return signature.decode("ascii")
