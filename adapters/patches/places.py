"""Where a patch may put an adapter, and with how many channels: told by a backbone's kernels."""

from collections import defaultdict
from typing import Literal, NamedTuple

from adapters.modules import block_of, kind_of, norm_of, running_order
from adapters.patches.contract import Weights
from adapters.patches.settings import check_setting
from adapters.vocabulary import KERNEL

Span = Literal["block", "depthwise"]
SPANS = ("block", "depthwise")


class Place(NamedTuple):
    """A convolution whose output an adapter is added to, before its norm.

    Attributes:
      path: of the convolution.
      inputs, outputs: channels.
    """

    path: str
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
            Place(path, *_channels(weights, path))
            for path in layers
            if kind_of(weights[path]) == "depthwise"
        ]
    blocks = defaultdict(list)
    for path in sorted(layers, key=running_order):
        blocks[block_of(path)].append(path)
    return sorted(
        Place(last, _channels(weights, first)[0], _channels(weights, last)[1])
        for first, *_, last in (own for own in blocks.values() if len(own) > 1)
        if kind_of(weights[last]) == "pointwise"
    )


def _channels(weights: Weights, layer: str) -> tuple[int, int]:
    """How many go into a convolution, and how many come out."""
    shape = weights[layer][KERNEL].shape
    return shape[-1 if kind_of(weights[layer]) == "depthwise" else -2], shape[-1]
