"""Every closed vocabulary, once: what leaves are called, which of them a patch may add, how a file
edits them, and how norms behave.

Layers, patches, files and devices take them from here. It needs no package beside Python's own, so
that a device has the same words as the trainer.
"""

import typing
from collections.abc import Mapping
from typing import Literal, NamedTuple

# Leaves that a backbone has: of a kernel, of a norm, of a layer scale.
KERNEL, BIAS = "w", "b"
SCALE, OFFSET, MEAN, VARIANCE = "scale", "offset", "mean", "var"
GAIN = "gain"

MODULATION = (SCALE, OFFSET)  # a factor and an offset a channel: of a norm, or a patch's own
STATISTICS = (MEAN, VARIANCE)
NORM = (*MODULATION, *STATISTICS)

BASES, MIX, OPEN, BYPASS = "bases", "mix", "open", "bypass"

NormMode = Literal["frozen", "calibrated", "batch", "ema"]
Folded = Literal["folded"]
Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = typing.get_args(Precision)  # of a network while it trains
NORM_MODES: tuple[NormMode, ...] = typing.get_args(NormMode)  # `adapters.layers.norm` has them
MEASURING: tuple[NormMode, ...] = ("batch", "ema")  # modes in which a norm leaves its moments


class OptionalLeaf(NamedTuple):
    """A leaf that a patch may add to a layer and a backbone never has.

    Attributes:
      identity: the value that leaves the layer as it is without it; None: it has no effect of its
        own, what it computes leaves through another one.
      needs: the leaf that a file must add beside it.
      rank: of a file's array.
      inserted: whether files add it. Bases are weights that tasks share, and mixes an image's own;
        a layer that is passed by is stored as one that does nothing.
      outward: whether its last axis is the layer's output channels, so that a factor of these can
        be multiplied into it.
    """

    identity: float | None
    needs: str | None = None
    rank: int = 2
    inserted: bool = True
    outward: bool = False


OPTIONAL: Mapping[str, OptionalLeaf] = {
    SCALE: OptionalLeaf(1.0, rank=1),
    OFFSET: OptionalLeaf(0.0, rank=1),
    "side_down": OptionalLeaf(None, needs="side_up"),
    "side_up": OptionalLeaf(0.0, needs="side_down", outward=True),
    "adapter": OptionalLeaf(0.0, outward=True),
    "adapter_down": OptionalLeaf(None, needs="adapter_up"),
    "adapter_kernel": OptionalLeaf(None, needs="adapter_down", rank=4),
    "adapter_up": OptionalLeaf(0.0, needs="adapter_down", outward=True),
    BASES: OptionalLeaf(None, inserted=False, outward=True),
    MIX: OptionalLeaf(0.0, inserted=False),
    OPEN: OptionalLeaf(1.0, rank=1),
    BYPASS: OptionalLeaf(0.0, rank=1, inserted=False),
}
"""All of them; `adapters.layers.optional` says what each computes."""

IDENTITY: Mapping[str, float] = {
    name: leaf.identity for name, leaf in OPTIONAL.items() if leaf.identity is not None
}
INSERTED = tuple(name for name, leaf in OPTIONAL.items() if leaf.inserted)

# The kinds of a file's edits, in the order in which they are done: see `adapters.store.kinds`.
MODULE = "module"
EDIT_KINDS = (MODULE, "insert", "replace", "mask", "affine_mask", "mixture", "low_rank", "add")
MASK, COEFFICIENTS, DOWN, UP = "mask", "coefficients", "down", "up"
EDIT_PARTS: Mapping[str, tuple[str, ...]] = {
    "affine_mask": (MASK, COEFFICIENTS),
    "mixture": (COEFFICIENTS,),
    "low_rank": (DOWN, UP),
}
"""The parts of an edit, for the kinds that have several; spelled `LEAF.PART`."""
