"""What must be true of reading any bytes at all, whoever made them."""

import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np

from adapters.store import errors
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits
from adapters.store.read import decode_patch
from adapters.store.write import encode_patch
from tests.store.make_patches import CARD, Tensors, assemble
from tests.store.mutated import take_apart

# Beside ten times the file: what no file is too small to need (see `container.check_density`).
SLACK = 2**18
LONGEST = 1200  # characters of a message
# Fields of the card with known fields of their own, and those that may be missing there.
KNOWN = {"backbone": (), "task": (), "parity": ("int8_logits",)}
OPTIONAL = {"data", "training"}  # fields of the card


def refused_or_the_same(content: bytes, shapes: Mapping[str, Mapping[str, Any]]) -> PatchContents:
    """Reads `content` for a backbone of these `shapes`; raises PatchFileError where it is refused.

    Fails where another error is raised, where what is accepted is not what the file says, spelled
    in the only way there is, or where reading takes ten times the file's size.
    """
    contents, peak = _measured(content, shapes)
    assert peak < 10 * len(content) + SLACK, f"{peak} bytes to read {len(content)}"
    if isinstance(contents, errors.PatchFileError):
        assert len(str(contents)) < LONGEST
        raise contents
    card, tensors = take_apart(content)
    assert encode_patch(contents) == assemble(_understood(card), tensors)
    same_tensors(contents, tensors)
    zeros = {
        module: {leaf: np.zeros(shape, np.float32) for leaf, shape in leaves.items()}
        for module, leaves in shapes.items()
    }
    with np.errstate(over="ignore", invalid="ignore"):
        apply_edits(zeros, contents.edits)
    return contents


def same_tensors(contents: PatchContents, tensors: Tensors) -> None:
    """Fails unless the contents hold the numbers that are stored, as their encoding reads them."""
    found = {f"head/{leaf}": array for leaf, array in contents.head.items()}
    for kind, modules in contents.edits.items():
        for module, leaves in modules.items():
            found |= {f"edit/{kind}/{module}/{leaf}": array for leaf, array in leaves.items()}
    assert found.keys() == {name for name in tensors if not name.startswith("scale/")}
    for name, array in found.items():
        shape, values, dtype = tensors[name]
        expected = np.array(values, np.uint8 if dtype == "U8" else np.float32).reshape(shape)
        if dtype == "I8":
            expected *= np.array(tensors[f"scale/{name}"][1], np.float32).reshape(
                shape[-1:] if len(shape) > 1 else ()
            )
        assert array.tobytes() == expected.tobytes(), name
        assert array.shape == expected.shape


def _measured(
    content: bytes, shapes: Mapping[str, Mapping[str, Any]]
) -> tuple[PatchContents | errors.PatchFileError, int]:
    """What reading gives or raises, and the most bytes that it held at once."""
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        found: PatchContents | errors.PatchFileError = decode_patch(
            content, shapes=shapes, features=3
        )
    except errors.PatchFileError as error:
        found = error.with_traceback(None)
    peak = tracemalloc.get_traced_memory()[1] - before
    if not running:
        tracemalloc.stop()
    return found, peak


def _understood(card: Mapping[str, Any]) -> dict[str, Any]:
    """The card without the fields that this version does not know, which it may ignore."""
    known = {name: value for name, value in card.items() if name in CARD.keys() | OPTIONAL}
    for name, optional in KNOWN.items():
        fields = {*CARD[name], *optional}
        known[name] = {field: value for field, value in known[name].items() if field in fields}
    return known
