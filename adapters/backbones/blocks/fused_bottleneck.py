"""The fused inverted bottleneck: arXiv 2104.00298, Figure 2, as MobileNetV4 uses it."""

import haiku as hk
import jax

from adapters.backbones.rows import FusedBottleneck
from adapters.layers.adapter import Across
from adapters.layers.convolution import Convolution
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise
from adapters.layers.residual import residual


class FusedBottleneckBlock(hk.Module):
    """A full convolution that expands, and a projection; leaves in `expand` and `project`."""

    def __init__(self, row: FusedBottleneck, padding: str, *, name: str):
        super().__init__(name=name)
        self._row, self._padding = row, padding

    def __call__(self, x: jax.Array, norm: Normalise) -> jax.Array:
        """Maps [H, W, inputs] to [H', W', outputs]."""
        row = self._row
        expand = Convolution(
            row.expanded, row.kernel, row.stride, self._padding, row.dilation, name="expand"
        )
        y = expand(x, norm, row.activation)
        across = Across(x, row.kernel, row.stride, row.dilation, self._padding)
        y = Pointwise(row.outputs, name="project")(y, norm, across=across)
        return residual(self, x, y, "project") if row.residual else y
