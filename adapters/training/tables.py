"""Tables of what tasks own, leaves [T, ...], and the rows that groups of a batch take from them.

A tree of many small leaves costs an operation a leaf wherever one is touched. So where a whole row
is treated alike, it is one vector.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def rows_of(tables: Any, tasks: jax.Array, total: int) -> Any:
    """The rows `tasks` [G] of `tables` with `total` rows: the same tree, leaves [G, ...]."""
    return jax.tree.map(lambda table: table[tasks], tables)


def _forward(tables: Any, tasks: jax.Array, total: int) -> tuple[Any, jax.Array]:
    return rows_of(tables, tasks, total), tasks


def _backward(total: int, tasks: jax.Array, gradients: Any) -> tuple[Any, None]:
    _, restored = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], gradients))
    flat = jax.vmap(flattened)(gradients)
    summed = jnp.zeros((total, flat.shape[1]), flat.dtype).at[tasks].add(flat)
    return jax.vmap(restored)(summed), None


rows_of.defvjp(_forward, _backward)


def membership(tasks: jax.Array, total: int) -> jax.Array:
    """[T, G] float32: 1 where a group of `tasks` [G] is of the task."""
    return jax.nn.one_hot(tasks, total, axis=0, dtype=jnp.float32)


def flattened(row: Any) -> jax.Array:
    """All leaves of a tree as one vector."""
    return ravel_pytree(row)[0]
