"""The rows of layer tables: one small type a kind of block, with the columns its block needs.

Every convolution in a block is followed by a norm, and depthwise kernels lie in modules whose name
ends in `depthwise`. A block adds its input to its output where its stride is 1 and the channels
agree, unless its docstring says otherwise.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The columns that published tables share; the default of each is their empty cell.

    Attributes:
      inputs, outputs: channels.
      kernel: side of the main convolution, in pixels; 0: there is none.
      expanded: channels inside the block; 0: it has no inside.
      stride: of the whole block.
      dilation: of every k x k convolution in it.
      activation: a name of `layers.activations`.
    """

    inputs: int
    outputs: int
    kernel: int = 1
    expanded: int = 0
    stride: int = 1
    dilation: int = 1
    activation: str = "linear"

    @property
    def operation(self) -> str:
        """The block's kind, in snake case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution(Row):
    """kernel x kernel convolution, norm, activation; never a residual."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceToDepth(Row):
    """The pixels of each `block` x `block` square as channels, then as a 1x1 `Convolution`.

    Attributes:
      block: side of a square, in pixels; also the row's stride.
      resolution: side of the map it gives: the image is resized to block * resolution first.
        0: the image is taken as it comes.
    """

    block: int
    resolution: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Separable(Row):
    """Depthwise, norm, activation, 1x1, norm, activation; never a residual: MobileNetV1."""


class _Residual(Row):
    @property
    def residual(self) -> bool:
        """Stride 1 and equal channels."""
        return self.stride == 1 and self.inputs == self.outputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class InvertedResidual(_Residual):
    """1x1 expansion, depthwise, [squeeze-excite], linear 1x1 projection: MobileNetV2 and V3.

    Without an expansion layer where `expanded` equals `inputs`.

    Attributes:
      squeezed: inner channels of squeeze-excite; 0: none.
      gate: its last activation.
    """

    squeezed: int = 0
    gate: str = "hard_sigmoid"

    @property
    def expands(self) -> bool:
        """Whether there is an expansion layer."""
        return self.expanded != self.inputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniversalBottleneck(_Residual):
    """[Linear depthwise], 1x1 expansion, [depthwise], linear 1x1 projection: MobileNetV4.

    The stride lies on the depthwise layer inside, else on the one at the start. Where the stride is
    1 and channels agree, the input is added.

    Attributes:
      kernel: of the depthwise layer inside; 0: none.
      start_kernel: of the depthwise layer before the expansion; 0: none.
      layer_scale: whether the branch's channels are scaled at its end.
    """

    start_kernel: int = 0
    layer_scale: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusedBottleneck(_Residual):
    """kernel x kernel expansion, norm, activation, linear 1x1 projection."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attention(_Residual):
    """Norm, Mobile multi-query attention, layer scale, residual: MobileNetV4.

    Attributes:
      heads: of queries; keys and values have one.
      size: channels of a key and of a value.
      key_stride: keys and values come from a map that much smaller; 1: from the map itself.
    """

    heads: int
    size: int
    key_stride: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooled(Row):
    """The mean over the map, then a 1x1 layer on that one vector, and an activation.

    Attributes:
      bias: True: the layer has a bias and no norm (V3); False: a norm and no bias (V4).
    """

    bias: bool
