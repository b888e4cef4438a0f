"""Activations by the names that layer tables use."""

from collections.abc import Callable

import jax

from adapters.errors import UnknownNameError

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "linear": lambda x: x,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
}


def activate(name: str, x: jax.Array) -> jax.Array:
    """Applies the activation called `name` to an array of any shape.

    Raises:
      UnknownNameError: no activation has this name.
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name](x)
