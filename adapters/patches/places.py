"""Where a patch may put an adapter, and with how many channels: told by a backbone's kernels."""

import math
from collections import defaultdict
from typing import Literal, NamedTuple

import jax

from adapters.modules import block_of, kind_of, norm_of, running_order
from adapters.patches.contract import Weights
from adapters.patches.settings import check_setting
from adapters.patches.sizes import size_of_inputs, size_of_sums
from adapters.vocabulary import KERNEL

Span = Literal["block", "depthwise"]
SPANS = ("block", "depthwise")


class Place(NamedTuple):
    """A convolution whose output an adapter is added to, before its norm.

    Attributes:
      path: of the convolution.
      first: path of the convolution that reads what the adapter does.
      inputs, outputs: channels.
    """

    path: str
    first: str
    inputs: int
    outputs: int


def places(weights: Weights, across: Span) -> list[Place]:
    """Every place across a block, or across a depthwise layer; in the order of their paths.

    A block is bridged where a 1x1 convolution ends it and others come before: its adapter takes in
    what the first of its layers does.

    Raises PatchSettingError for another `across`.
    """
    check_setting("across", across, across in SPANS, f"one of {', '.join(SPANS)}")
    layers = [path for path in sorted(weights) if norm_of(path) in weights]
    if across == "depthwise":
        return [
            Place(path, path, *_channels(weights, path))
            for path in layers
            if kind_of(weights[path]) == "depthwise"
        ]
    blocks = defaultdict(list)
    for path in sorted(layers, key=running_order):
        blocks[block_of(path)].append(path)
    return sorted(
        Place(last, first, _channels(weights, first)[0], _channels(weights, last)[1])
        for first, *_, last in (own for own in blocks.values() if len(own) > 1)
        if kind_of(weights[last]) == "pointwise"
    )


def _channels(weights: Weights, layer: str) -> tuple[int, int]:
    """How many go into a convolution, and how many come out."""
    shape = weights[layer][KERNEL].shape
    return shape[-1 if kind_of(weights[layer]) == "depthwise" else -2], shape[-1]


def outward_size(weights: Weights, place: Place, inner: int) -> jax.Array:
    """The size of a kernel [inner, outputs] of an adapter, of what is as large as what it reads.

    Its sums are then as large as those of the convolution that it is added to.
    """
    sums = size_of_sums(weights, place.path)
    return sums / (size_of_inputs(weights, place.first) * math.sqrt(inner))
