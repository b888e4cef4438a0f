"""The inverted residual: arXiv 1801.04381, Figure 3; with squeeze-excite, 1905.02244."""

import functools

import haiku as hk
import jax

from adapters.backbones.rows import InvertedResidual
from adapters.layers.activations import activate
from adapters.layers.adapter import Across
from adapters.layers.depthwise import Depthwise
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise
from adapters.layers.residual import residual
from adapters.layers.squeeze_excite import SqueezeExcite


class InvertedResidualBlock(hk.Module):
    """Expand, depthwise, squeeze-excite, project; leaves in modules of these names."""

    def __init__(self, row: InvertedResidual, padding: str, *, name: str):
        super().__init__(name=name)
        self._row, self._padding = row, padding

    def __call__(self, x: jax.Array, norm: Normalise) -> jax.Array:
        """Maps [H, W, inputs] to [H', W', outputs]."""
        row, y = self._row, x
        if row.expands:
            y = Pointwise(row.expanded, name="expand")(y, norm, row.activation)
        depthwise = Depthwise(row.kernel, row.stride, self._padding, row.dilation, name="depthwise")
        y = depthwise(y, norm, row.activation)
        if row.squeezed:
            y = SqueezeExcite(row.squeezed, functools.partial(activate, row.gate))(y)
        across = Across(x, row.kernel, row.stride, row.dilation, self._padding)
        y = Pointwise(row.outputs, name="project")(y, norm, across=across)
        return residual(self, x, y, "project") if row.residual else y
