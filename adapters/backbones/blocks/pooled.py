"""The layer after pooling: arXiv 1905.02244, Figure 5; with a norm in MobileNetV4."""

import jax
import jax.numpy as jnp

from adapters.backbones.rows import Pooled
from adapters.layers.activations import activate
from adapters.layers.dense import Dense
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise


def pooled(row: Pooled, padding: str, name: str, x: jax.Array, norm: Normalise) -> jax.Array:
    """Maps [H, W, inputs] to [1, 1, outputs]; leaves `w` and `b`, or `w` and a norm."""
    del padding
    mean = jnp.mean(x, axis=(0, 1))
    if row.bias:
        return activate(row.activation, Dense(row.outputs, name=name)(mean))[None, None]
    return Pointwise(row.outputs, name=name)(mean[None, None], norm, row.activation)
