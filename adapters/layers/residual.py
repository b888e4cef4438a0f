"""The sum at the end of a residual block, and the block skipped.

Where the last convolution of the branch has the leaf `open` [1], the block is

    x + y  where open is above 0, as without the leaf;   x  otherwise, to the bit,

whatever y is, infinities and NaN among it. Values other than 0 and 1 mean nothing more: a block is
open or skipped, so that a device can leave a skipped one out. After Huang, Sun, Liu, Sedra,
Weinberger, "Deep Networks with Stochastic Depth", arXiv 1603.09382, whose b_l this is; that it is a
leaf of its own, which a task or a search sets, is ours.

The gradient is that of x + open * y everywhere, so that what opens and closes blocks learns what a
skipped one would do: sum(y * gradient) for `open`. A skipped branch itself gets none.
"""

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from adapters.layers.optional import optional
from adapters.vocabulary import OPEN


def residual(module: hk.Module, x: jax.Array, y: jax.Array, last: str) -> jax.Array:
    """x + y, both [H, W, C]: or x, where the block is skipped.

    Args:
      module: the block.
      x: what came into it.
      y: of its branch.
      last: path in the block of the branch's last convolution.
    """
    is_open = optional(module, f"{last}/{OPEN}")
    return x + y if is_open is None else _summed(x, y, is_open)


@jax.custom_vjp
def _summed(x: jax.Array, y: jax.Array, is_open: jax.Array) -> jax.Array:
    return jnp.where(is_open[0] > 0, x + y, x)


def _forward(x: jax.Array, y: jax.Array, is_open: jax.Array) -> tuple[jax.Array, Any]:
    return _summed(x, y, is_open), (y, is_open)


def _backward(saved: Any, dx: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    y, is_open = saved
    dy = jnp.where(is_open[0] > 0, dx, jnp.zeros_like(dx))
    return dx, dy, jnp.sum(dx * y).reshape(1).astype(is_open.dtype)


_summed.defvjp(_forward, _backward)
