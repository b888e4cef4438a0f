"""MobileNetV4's universal inverted bottleneck: arXiv 2404.10518, Figure 4."""

import haiku as hk
import jax

from adapters.backbones.rows import UniversalBottleneck
from adapters.layers.adapter import Across
from adapters.layers.depthwise import Depthwise
from adapters.layers.layer_scale import LayerScale
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise
from adapters.layers.residual import residual


class UniversalBottleneckBlock(hk.Module):
    """Its four forms by which depthwise layers there are.

    ExtraDW has both, an inverted bottleneck the one inside, the ConvNext-like form the one at the
    start, a feed-forward network neither. Leaves in `start_depthwise`, `expand`, `depthwise`,
    `project` and `layer_scale`.
    """

    def __init__(self, row: UniversalBottleneck, padding: str, *, name: str):
        super().__init__(name=name)
        self._row, self._padding = row, padding

    def __call__(self, x: jax.Array, norm: Normalise) -> jax.Array:
        """Maps [H, W, inputs] to [H', W', outputs]."""
        row, y = self._row, x
        if row.start_kernel:
            stride = 1 if row.kernel else row.stride
            y = self._depthwise(row.start_kernel, stride, "start_depthwise")(y, norm)
        y = Pointwise(row.expanded, name="expand")(y, norm, row.activation)
        if row.kernel:
            y = self._depthwise(row.kernel, row.stride, "depthwise")(y, norm, row.activation)
        kernel = row.kernel or row.start_kernel or 1
        across = Across(x, kernel, row.stride, row.dilation, self._padding)
        y = Pointwise(row.outputs, name="project")(y, norm, across=across)
        if row.layer_scale:
            y = LayerScale(name="layer_scale")(y)
        return residual(self, x, y, "project") if row.residual else y

    @hk.transparent
    def _depthwise(self, kernel: int, stride: int, name: str) -> Depthwise:
        return Depthwise(kernel, stride, self._padding, self._row.dilation, name=name)
