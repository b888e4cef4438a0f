"""What a norm comes down to, fused with the activation after it: act(x * gain + bias) by channel.

The backward pass is written by hand so that it keeps only what it needs. A gradient for the gain
needs the input, from which the activation's mask can be computed again. Without one (norms whose
scale is frozen) the mask is all that is kept, one bit an element instead of a float: packed, since
a compiler that sees a plain mask keeps the floats and computes the mask from them later.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from adapters.layers.activations import activate, passes


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def affine(x: jax.Array, gain: jax.Array, bias: jax.Array, activation: str) -> jax.Array:
    """Maps x [H, W, C] to the same shape; `gain` and `bias` are [C], `activation` is a name."""
    return activate(activation, _line(x, gain, bias))


def _forward(x: Any, gain: Any, bias: Any, activation: str) -> tuple[jax.Array, Any]:
    z = _line(x.value, gain.value, bias.value)
    y = activate(activation, z)
    if gain.perturbed:
        return y, (gain.value, (x.value, bias.value), None)
    mask = None if activation == "linear" else jnp.packbits(passes(activation, z), axis=-1)
    return y, (gain.value, None, mask)


def _backward(activation: str, saved: Any, dy: Any) -> tuple[Any, Any, Any]:
    gain, inputs, mask = saved
    if inputs is not None and activation != "linear":
        mask = passes(activation, _line(inputs[0], gain, inputs[1]))
    elif mask is not None:
        mask = jnp.unpackbits(mask, axis=-1, count=dy.shape[-1]).astype(bool)
    dz = dy if mask is None else jnp.where(mask, dy, jnp.zeros((), dy.dtype))
    d_gain = jnp.zeros_like(gain) if inputs is None else jnp.sum(dz * inputs[0], axis=(0, 1))
    return dz * gain[None, None], d_gain, jnp.sum(dz, axis=(0, 1))


affine.defvjp(_forward, _backward, symbolic_zeros=True)


def _line(x: jax.Array, gain: jax.Array, bias: jax.Array) -> jax.Array:
    return x * gain[None, None] + bias[None, None]
