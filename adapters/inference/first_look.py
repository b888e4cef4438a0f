"""What the patch of a file does when it first looks at an image: asked of the patch, or refused."""

from adapters.patches.contract import Prepare, no_look
from adapters.patches.registry import from_spec
from adapters.store.contents import PatchContents, check_without_look, looks_first


def first_look(contents: PatchContents) -> Prepare:
    """The patch's `prepare`; raises what `from_spec` does for a spec that it cannot read."""
    if not looks_first(contents):
        return no_look
    return from_spec(contents.patch, contents.norm).prepare  # type: ignore[arg-type]


def without_look(contents: PatchContents) -> Prepare:
    """`no_look`, for who can run no other; raises LooksFirstError where the patch has another."""
    check_without_look(contents)
    return no_look
