"""Fully connected layer on one vector."""

import haiku as hk
import jax
import jax.numpy as jnp


class Dense(hk.Module):
    """x @ w + b; leaves `w` [in, out] and `b` [out]."""

    def __init__(self, outputs: int, *, name: str):
        super().__init__(name=name)
        self._outputs = outputs

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [in] to [out]."""
        init = hk.initializers.RandomNormal(x.shape[-1] ** -0.5)
        w = hk.get_parameter("w", (x.shape[-1], self._outputs), x.dtype, init)
        b = hk.get_parameter("b", (self._outputs,), x.dtype, jnp.zeros)
        return x @ w + b
