"""A coarse map beside a finer one."""

import jax
import jax.numpy as jnp


def added(fine: jax.Array, coarse: jax.Array) -> jax.Array:
    """[H, W, C] and, under each of its cells, the cell of [h, w, C] that covers it.

    `coarse` is half as large, rounded up: each of its cells covers two by two.
    """
    wide = jnp.repeat(jnp.repeat(coarse, 2, axis=0), 2, axis=1)
    return fine + wide[: fine.shape[0], : fine.shape[1]]
