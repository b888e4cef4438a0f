"""DeepLab's block: arXiv 1706.05587, Figure 5; without rates, as arXiv 1801.04381 reduced it."""

import haiku as hk
import jax
import jax.numpy as jnp

from adapters.backbones.rows import AtrousPyramid
from adapters.layers.convolution import Convolution
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise


class AtrousPyramidBlock(hk.Module):
    """Branches side by side, and one 1x1; leaves in `point`, `rate_12`, ..., `mean`, `project`."""

    def __init__(self, row: AtrousPyramid, padding: str, *, name: str):
        super().__init__(name=name)
        self._row, self._padding = row, padding

    def __call__(self, x: jax.Array, norm: Normalise) -> jax.Array:
        """Maps [H, W, inputs] to [H, W, outputs]."""
        row = self._row
        branches = [Pointwise(row.expanded, name="point")(x, norm, row.activation)]
        for rate in row.rates:
            layer = Convolution(row.expanded, 3, 1, self._padding, rate, name=f"rate_{rate}")
            branches.append(layer(x, norm, row.activation))
        mean = jnp.mean(x, axis=(0, 1), keepdims=True)
        mean = Pointwise(row.expanded, name="mean")(mean, norm, row.activation)
        branches.append(jnp.broadcast_to(mean, branches[0].shape))
        every = jnp.concatenate(branches, axis=-1)
        return Pointwise(row.outputs, name="project")(every, norm, row.activation)
