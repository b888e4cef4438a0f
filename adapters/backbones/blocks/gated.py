"""LR-ASPP's block: arXiv 1905.02244, Figure 10, with a gate that pools the whole map."""

import haiku as hk
import jax
import jax.numpy as jnp

from adapters.backbones.rows import Gated
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise, Projection


class GatedBlock(hk.Module):
    """A 1x1 convolution whose channels a gate scales; leaves in `project` and `gate`."""

    def __init__(self, row: Gated, *, name: str):
        super().__init__(name=name)
        self._row = row

    def __call__(self, x: jax.Array, norm: Normalise) -> jax.Array:
        """Maps [H, W, inputs] to [H, W, outputs]."""
        row = self._row
        y = Pointwise(row.outputs, name="project")(x, norm, row.activation)
        mean = jnp.mean(x, axis=(0, 1), keepdims=True)
        return y * jax.nn.sigmoid(Projection(row.outputs, name="gate")(mean))
