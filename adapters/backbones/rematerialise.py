"""Time for memory: what a function computes inside is computed again in the backward pass.

Chen, Xu, Zhang, Guestrin, "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174.
`jax.checkpoint` asks for the same, but holds the second computation back with an optimisation
barrier, which XLA's CPU backend drops: both then run at once, and memory grows.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def rematerialised(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, of pytrees of arrays, keeping its arguments alone for the backward pass.

    Gives the same values, and gradients for every argument: inside `jax.jit`, those that nobody
    asked for cost nothing.
    """

    def forward(*arguments: Any) -> tuple[Any, Any]:
        return function(*arguments), arguments

    def backward(arguments: Any, cotangents: Any) -> Any:
        first, *_ = jax.tree.leaves(cotangents)
        held = jax.tree.map(lambda leaf: _once_there(leaf, first), arguments)
        return jax.vjp(function, *held)[1](cotangents)

    again = jax.custom_vjp(function)
    again.defvjp(forward, backward)
    return again


def _once_there(value: jax.Array, other: jax.Array) -> jax.Array:
    """`value`, in a way that a compiler cannot have before `other`."""
    first = other.reshape(-1)[0]
    always = (first == first) | (first != first)
    return jnp.where(always, value, jnp.zeros((), value.dtype))
