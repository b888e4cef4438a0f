"""MobileNetV1's block: arXiv 1704.04861, Figure 3."""

import haiku as hk
import jax

from adapters.backbones.rows import Separable
from adapters.layers.adapter import Across
from adapters.layers.depthwise import Depthwise
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise


class SeparableBlock(hk.Module):
    """Depthwise and 1x1 convolution, each activated; leaves in `depthwise` and `project`."""

    def __init__(self, row: Separable, padding: str, *, name: str):
        super().__init__(name=name)
        self._row, self._padding = row, padding

    def __call__(self, x: jax.Array, norm: Normalise) -> jax.Array:
        """Maps [H, W, inputs] to [H', W', outputs]."""
        row = self._row
        depthwise = Depthwise(row.kernel, row.stride, self._padding, row.dilation, name="depthwise")
        y = depthwise(x, norm, row.activation)
        across = Across(x, row.kernel, row.stride, row.dilation, self._padding)
        return Pointwise(row.outputs, name="project")(y, norm, row.activation, across)
