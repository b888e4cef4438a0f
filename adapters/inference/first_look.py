"""What the patch of a file does when it first looks at an image: asked of the patch, or refused."""

from adapters.errors import ModelPatchError
from adapters.patches.contract import Patch, Prepare, no_look
from adapters.patches.registry import CUSTOM, CUSTOM_LOOK, from_spec
from adapters.store.contents import PatchContents, check_without_look, looks_first


class PatchNeededError(ModelPatchError):
    """A file whose patch runs code at every image, and no spec says which."""


def first_look(contents: PatchContents, patch: Patch | None = None) -> Prepare:
    """The patch's `prepare`: of `patch` where one is given, else of what the file says.

    Raises PatchNeededError, and what `from_spec` does for a spec that it cannot read.
    """
    if patch is not None:
        return patch.prepare
    _check_named(contents)
    if not looks_first(contents):
        return no_look
    return from_spec(contents.patch, contents.norm).prepare  # type: ignore[arg-type]


def without_look(contents: PatchContents) -> Prepare:
    """`no_look`, for who can run no other.

    Raises LooksFirstError, or PatchNeededError, where the patch has another.
    """
    _check_named(contents)
    check_without_look(contents)
    return no_look


def _check_named(contents: PatchContents) -> None:
    if contents.patch == CUSTOM_LOOK or (contents.patch == CUSTOM and looks_first(contents)):
        raise PatchNeededError(
            f"the patch for {contents.task} looks at every image first, and no spec names it: load "
            "it in Python with the Patch it was trained with, adapters.load(path, patch=...)."
        )
