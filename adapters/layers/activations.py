"""Activations by the names that layer tables use."""

import functools
from collections.abc import Callable

import jax

from adapters.errors import UnknownNameError

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "linear": lambda x: x,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "hard_swish": jax.nn.hard_swish,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "sigmoid": jax.nn.sigmoid,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
}


# Where an activation of slope 0 or 1 lets its input through; others are not here.
PASSES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": lambda x: x > 0,
    "relu6": lambda x: (x > 0) & (x < 6),
}


def activate(name: str, x: jax.Array) -> jax.Array:
    """Applies the activation called `name` to an array of any shape.

    Raises:
      UnknownNameError: no activation has this name.
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name](x)
