"""Which room of a graph a patch's head takes, and what the graph is fed for it."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from adapters.heads import linear
from adapters.heads.filling import filled
from adapters.heads.registry import head_of
from adapters.runtime import signatures
from adapters.runtime.feeds import OtherSizeError, UnsupportedPatchError
from adapters.runtime.rooms import Room
from adapters.store.contents import PatchContents
from adapters.store.errors import ShapeMismatchError

Array = npt.NDArray[np.float32]


def room_of(contents: PatchContents, size: int) -> Room:
    """The room that a patch's head fills, for its images of `size` pixels."""
    channels = head_of(contents).channels(_shapes(contents))
    settings = dict(contents.head_settings)
    return Room(contents.head_kind, settings, channels, len(contents.labels), size)


def find_room(contents: PatchContents, size: int, rooms: Iterable[Room]) -> Room:
    """The narrowest room for a patch's head and its images of `size` pixels.

    Raises UnsupportedPatchError where there is none, OtherSizeError where there would be for images
    of another size, ShapeMismatchError where the head reads other channels than are there.
    """
    head, outputs, task = head_of(contents), len(contents.labels), contents.task
    alike = [room for room in rooms if room.head.computes == head.computes]
    if not alike:
        raise UnsupportedPatchError(
            f"{task} has the head {head.computes}, which this graph does not compute. Export it "
            "for this patch's head too.",
            settings=["heads_of"],
        )
    sizes = sorted({room.size for room in alike})
    if size not in sizes:
        raise OtherSizeError(
            f"{task} looks at images of {size} pixels, this graph at "
            f"{', '.join(map(str, sizes))}. Export it for size {size} too.",
            settings=["sizes" if head.computes == linear.COMPUTES else "heads_of"],
        )
    ample = [room for room in alike if room.size == size]
    widest = max(room.outputs for room in ample)
    if outputs > widest:
        raise UnsupportedPatchError(
            f"{task} has {outputs} classes; this graph has room for {widest}. Export it with room "
            f"for {outputs}.",
            settings=["classes" if head.computes == linear.COMPUTES else "heads_of"],
        )
    room = min((room for room in ample if room.outputs >= outputs), key=lambda one: one.outputs)
    if (found := head.channels(_shapes(contents))) != dict(room.channels):
        raise ShapeMismatchError(
            f"the head of {task} reads maps of {found} channels, this graph gives "
            f"{dict(room.channels)}"
        )
    return room


def head_inputs(contents: PatchContents, room: Room) -> dict[str, Array]:
    """What a graph takes of a patch's head in a room: outputs that are nobody's answer NaN."""
    leaves = filled(head_of(contents), contents.head, room.outputs)
    inputs = {signatures.HEAD + leaf: values for leaf, values in leaves.items()}
    for values in inputs.values():
        values.flags.writeable = False  # an engine then takes them once, and not at each call
    return inputs


def _shapes(contents: PatchContents) -> dict[str, tuple[int, ...]]:
    return {leaf: values.shape for leaf, values in contents.head.items()}
