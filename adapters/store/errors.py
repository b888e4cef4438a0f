"""Every way a patch file is refused, one class each."""

import contextlib
import os
import reprlib
from collections.abc import Iterator, Sequence
from typing import Any

from adapters.errors import ModelPatchError


class PatchFileError(ModelPatchError):
    """A patch that cannot be written, read or applied.

    `reason` says what is wrong; `path` is the file, or None while there is no file yet. The class
    adds what to do about it.
    """

    advice = ""

    def __init__(self, reason: str, *, settings: Sequence[str] = ()):
        # Names and shapes of a file may be as long as its header.
        self.reason = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}..."
        super().__init__(self.reason, settings=settings)
        self.path: str | None = None

    def __str__(self) -> str:
        where = "" if self.path is None else f"{self.path}: "
        return f"{where}{self.reason}. {self.advice}".rstrip()


def shown(value: Any) -> str:
    """How a message spells what a file holds: as `repr`, but short however long that is."""
    return _SHORT.repr(value)


_LONGEST = 1000  # characters of a reason
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within the block, every PatchFileError that names no file yet is raised naming `path`."""
    try:
        yield
    except PatchFileError as error:
        if error.path is None:
            error.path = os.fspath(path)
        raise


_DAMAGED = "The file is damaged or was changed: fetch it again, or export the patch again."
_MADE_WRONG = "Correct the patch's contents and write it again."


class MissingFileError(PatchFileError):
    """There is no file at the path."""

    advice = "Check the path."


class UnreadableFileError(PatchFileError):
    """The operating system refuses to open or read the file."""

    advice = "Check the file's permissions and the disk."


class NotRegularFileError(PatchFileError):
    """The path is a folder, a pipe, a socket or a device."""

    advice = "Give the path of one TASK.patch file."


class FileNameError(PatchFileError):
    """A patch would be written under a name that is not its task's."""

    advice = "Name the file after its task."


class TooLargeError(PatchFileError):
    """The file, or its header, is larger than allowed."""

    advice = "A patch is small: check that this is one, or allow a larger size."


class NotPatchError(TooLargeError):
    """The file does not begin as a patch does: its header would be larger than any."""

    advice = "Give the path of a TASK.patch file."


class TruncatedError(PatchFileError):
    """The file ends before its header says."""

    advice = "Fetch it again: the transfer was cut short."


class HeaderError(PatchFileError):
    """The container around the patch is not one this project writes."""

    advice = _DAMAGED


class JSONError(PatchFileError):
    """The header is no JSON of plain finite values, or is nested too deeply."""

    advice = _DAMAGED


class DuplicateKeyError(PatchFileError):
    """A JSON object names one key twice, so two readers could see two different patches."""

    advice = _DAMAGED


class NotCanonicalError(PatchFileError):
    """The header's bytes differ from their own canonical encoding."""

    advice = _DAMAGED


class SchemaVersionError(PatchFileError):
    """The file follows a schema that this version does not know."""

    advice = "Upgrade modelpatch, or export the patch for this version."


class UnsupportedFeatureError(PatchFileError):
    """The patch needs something that this version does not know."""

    advice = "Upgrade modelpatch, or export the patch for this version."


class LooksFirstError(UnsupportedFeatureError):
    """The patch looks at an image before its network does, where nothing can do that."""

    advice = "Export the task's own graph, or run the patch in JAX."


class SchemaError(PatchFileError):
    """A field is missing, or holds what it must not."""

    advice = _MADE_WRONG


class LabelsError(PatchFileError):
    """Labels, head and expected logits do not belong together."""

    advice = _MADE_WRONG


class ShapeMismatchError(PatchFileError):
    """An edit or the head does not fit the backbone."""

    advice = "Use the backbone this patch was trained on."


class EncodingError(PatchFileError):
    """The patch holds a number that its encoding cannot store."""

    advice = "Store the patch in another encoding, such as float32."


class DigestError(PatchFileError):
    """The file's bytes do not give the sha256 it holds."""

    advice = _DAMAGED


class NotFiniteError(PatchFileError):
    """A tensor holds NaN or an infinity."""

    advice = "The training run diverged: train it again, with a lower learning rate."


class FingerprintError(PatchFileError):
    """The patch was trained on other backbone weights."""

    advice = "Load the backbone it names, or train the patch on this one."


class ParityError(PatchFileError):
    """The patched network does not give the logits that the file says it must."""

    advice = "This machine would answer differently from the one that trained it: do not deploy it."


class PreprocessingMismatchError(PatchFileError):
    """The patch turns images into another input than the backbone, or its own parity image, takes.

    See `adapters.inference.self_test`.
    """

    advice = "Whoever made this file changed its preprocessing: export the patch again."


class NotRunnableError(PatchFileError):
    """Reading the patch, or running the network with it, ended in an error of some library."""

    advice = (
        "If this machine has memory to spare, the patch is at fault: do not deploy it, and export "
        "it again."
    )


class UnsignedError(PatchFileError):
    """Only signed patches are accepted here, and this one has no signature."""

    advice = "Fetch TASK.patch.sig along with TASK.patch, or sign it."


class UntrustedKeyError(PatchFileError):
    """The signature was made with a key that is not trusted here."""

    advice = "Fetch the patch from a maker you trust, or trust that key's public half."


class NotDelegatedError(UntrustedKeyError):
    """The patch is signed with a key that is trusted for other tasks."""

    advice = "Fetch the patch from that task's maker, or name the task in the key's file."


class BadSignatureError(PatchFileError):
    """The signature does not belong to these bytes, or is none at all."""

    advice = "Patch or signature was changed after signing: fetch both again, and install neither."


class VersionError(PatchFileError):
    """The version cannot be compared with another."""

    advice = "Give a version of numbers, such as 1.2.0."
    settings = ("patch_version",)


class WrongTaskError(PatchFileError):
    """The patch is for another task than the one it was given for."""

    advice = "Give each task its own patch."


class OlderVersionError(PatchFileError):
    """A later version of the task was installed here before."""

    advice = "Fetch the latest patch; going back to the version before is what roll_back is for."


class ReleaseError(PatchFileError):
    """What a signature says of a release cannot be understood, or cannot be meant."""

    advice = "Sign the patch anew, or upgrade modelpatch if a later one signed it."


class OlderReleaseError(OlderVersionError):
    """A later release of the task was installed here before, or this one was taken back."""

    advice = "Fetch the latest patch, or have its maker sign it as a later release."


class ExpiredError(PatchFileError):
    """The time is over for which the patch's maker vouches for it."""

    advice = (
        "Fetch the latest patch. Where there is none, somebody may be holding it back, or this "
        "machine's clock is wrong."
    )


class UnsignedFolderError(PatchFileError):
    """Only signed folders are believed here, and this one has no signature."""

    advice = "Fetch folder.sig along with it, have its maker sign it, or say that it need not be."
    settings = ("unsigned_graph",)


class ChangedFolderError(PatchFileError):
    """A folder is not what was signed, or cannot be signed."""

    advice = "Fetch all of it again; who made it puts plain files there alone, and signs it last."
