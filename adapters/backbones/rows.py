"""The rows of layer tables: one small type a kind of block, with the columns its block needs.

A row says which modules its block is made of, its `parts`, in the order in which they run;
`adapters.backbones.sites` makes a table's sites of them. A block adds its input to its output where
its stride is 1 and the channels agree, unless its docstring says otherwise.
"""

import abc
import dataclasses
import re

from adapters.backbones.parts import Part
from adapters.modules import Kind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row(abc.ABC):
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

    @property
    @abc.abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """The modules of the block, in the order in which they run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution(Row):
    """kernel x kernel convolution, norm, activation; never a residual."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """One layer."""
        if self.kernel == 1 and self.stride == 1:
            return (Part("", "pointwise", self.inputs, self.outputs),)
        return (Part("", "convolution", self.inputs, self.outputs, self.kernel, self.stride),)


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

    @property
    def parts(self) -> tuple[Part, ...]:
        """One layer."""
        return (Part("", "pointwise", self.inputs * self.block**2, self.outputs),)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Separable(Row):
    """Depthwise, norm, activation, 1x1, norm, activation; never a residual: MobileNetV1."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Two layers."""
        return (
            _depthwise("depthwise", self.inputs, self.kernel, self.stride),
            Part("project", "pointwise", self.inputs, self.outputs),
        )


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

    @property
    def parts(self) -> tuple[Part, ...]:
        """Two layers or three, and those of squeeze-excite."""
        inside = self.expanded
        return (
            *([Part("expand", "pointwise", self.inputs, inside)] if self.expands else []),
            _depthwise("depthwise", inside, self.kernel, self.stride),
            *(_squeeze_excite(inside, self.squeezed) if self.squeezed else []),
            Part("project", "pointwise", inside, self.outputs),
        )


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

    @property
    def parts(self) -> tuple[Part, ...]:
        """Two layers to four, and a layer scale."""
        own = 1 if self.kernel else self.stride
        start = _depthwise("start_depthwise", self.inputs, self.start_kernel, own)
        inner = _depthwise("depthwise", self.expanded, self.kernel, self.stride)
        return (
            *([start] if self.start_kernel else []),
            Part("expand", "pointwise", self.inputs, self.expanded),
            *([inner] if self.kernel else []),
            Part("project", "pointwise", self.expanded, self.outputs),
            *([_layer_scale(self.outputs)] if self.layer_scale else []),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusedBottleneck(_Residual):
    """kernel x kernel expansion, norm, activation, linear 1x1 projection."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Two layers."""
        return (
            Part("expand", "convolution", self.inputs, self.expanded, self.kernel, self.stride),
            Part("project", "pointwise", self.expanded, self.outputs),
        )


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

    @property
    def parts(self) -> tuple[Part, ...]:
        """A norm, attention's four matrices with what shrinks the map before two, a layer scale."""
        queries = self.heads * self.size
        return (
            Part("norm", "norm", self.inputs, self.inputs, normed=False),
            _matrix("attention/query", self.inputs, queries),
            *self._seen("attention/key"),
            *self._seen("attention/value"),
            _matrix("attention/output", queries, self.outputs),
            _layer_scale(self.outputs),
        )

    def _seen(self, name: str) -> list[Part]:
        shrunk = [_depthwise(f"{name}_depthwise", self.inputs, 3, self.key_stride)]
        return [
            *(shrunk if self.key_stride > 1 else []),
            _matrix(name, self.inputs, self.size),
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooled(Row):
    """The mean over the map, then a 1x1 layer on that one vector, and an activation.

    Attributes:
      bias: True: the layer has a bias and no norm (V3); False: a norm and no bias (V4).
    """

    bias: bool

    @property
    def parts(self) -> tuple[Part, ...]:
        """One layer."""
        kind: Kind = "dense" if self.bias else "pointwise"
        return (Part("", kind, self.inputs, self.outputs, normed=not self.bias),)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gated(Row):
    """1x1, norm, activation; times a gate: the mean over the map, 1x1, sigmoid. LR-ASPP's."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Two layers, of which the second has no norm."""
        return (
            Part("project", "pointwise", self.inputs, self.outputs),
            _matrix("gate", self.inputs, self.outputs),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AtrousPyramid(Row):
    """A 1x1, a 3x3 at each rate and the mean over the map, side by side; then one 1x1. DeepLab's.

    Attributes:
      rates: dilations of the 3x3 convolutions.
      expanded: channels of each branch.
    """

    rates: tuple[int, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """A layer each branch, and the one over all."""
        inside = self.expanded
        return (
            Part("point", "pointwise", self.inputs, inside),
            *(Part(f"rate_{rate}", "convolution", self.inputs, inside, 3) for rate in self.rates),
            Part("mean", "pointwise", self.inputs, inside),
            Part("project", "pointwise", (2 + len(self.rates)) * inside, self.outputs),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PooledPyramid(Row):
    """The map, its mean, and what one group convolution makes of means over windows; then a 1x1.

    MOSAIC's.

    Attributes:
      cells: windows along a side, of each level.
      kernels: sides of the group convolution's depthwise kernels; each takes its share of the
        channels, and all levels have the same.
      expanded: channels of the mean's branch and of each of the group convolution's.
    """

    cells: tuple[int, ...] = ()
    kernels: tuple[int, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """A layer of the mean, two each kernel, and the one over all levels."""
        share, inside = self.inputs // len(self.kernels), self.expanded
        levels = len(self.cells) * len(self.kernels) * inside
        own = [
            (
                _depthwise(f"{name}/depthwise", share, kernel, 1),
                Part(f"{name}/project", "pointwise", share, inside),
            )
            for kernel in self.kernels
            for name in [f"kernel_{kernel}"]
        ]
        return (
            Part("mean", "pointwise", self.inputs, inside),
            *(part for pair in own for part in pair),
            Part("project", "pointwise", self.inputs + inside + levels, self.outputs),
        )


def _depthwise(name: str, channels: int, kernel: int, stride: int) -> Part:
    return Part(name, "depthwise", channels, channels, kernel, stride)


def _matrix(name: str, inputs: int, outputs: int) -> Part:
    return Part(name, "pointwise", inputs, outputs, normed=False)


def _squeeze_excite(channels: int, squeezed: int) -> list[Part]:
    return [
        Part("squeeze_excite/reduce", "dense", channels, squeezed, normed=False),
        Part("squeeze_excite/expand", "dense", squeezed, channels, normed=False),
    ]


def _layer_scale(channels: int) -> Part:
    return Part("layer_scale", "layer_scale", channels, channels, normed=False)
