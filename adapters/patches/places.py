"""Where a patch may put an adapter, and with how many channels: told by a backbone's kernels."""

from typing import Literal, NamedTuple

from adapters.patches.contract import Weights
from adapters.patches.settings import check_setting

Span = Literal["block", "depthwise"]
SPANS = ("block", "depthwise")

_FIRST = ("start_depthwise", "expand", "depthwise")  # layers that may begin a block, in order


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
    """Every place across a block (that `project` ends), or across a depthwise layer.

    Raises PatchSettingError for another `across`.
    """
    check_setting("across", across, across in SPANS, f"one of {', '.join(SPANS)}")
    found = []
    for path, leaves in sorted(weights.items()):
        block, _, layer = path.rpartition("/")
        if across == "depthwise" and layer.endswith("depthwise"):
            channels = leaves["w"].shape[-1]
            found.append(Place(path, channels, channels))
        if across == "block" and layer == "project":
            first = next(name for name in _FIRST if f"{block}/{name}" in weights)
            kernel = weights[f"{block}/{first}"]["w"]
            # A depthwise kernel is [k, k, 1, C], any other [..., in, out].
            inputs = kernel.shape[-1 if first.endswith("depthwise") else -2]
            found.append(Place(path, inputs, leaves["w"].shape[-1]))
    return found
