"""What a norm comes down to, fused with the activation after it: act(x * gain + bias) by channel.

The backward pass is written by hand so that it keeps only what it needs. A gradient for the gain
needs the input, from which the activation's slope can be computed again. Without one (norms whose
scale is frozen) a slope of 0 or 1 is all that is kept, one bit an element instead of a float:
packed, since a compiler that sees a plain mask keeps the floats and computes the mask from them
later. Activations with other slopes keep the input always.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from adapters.layers.activations import PASSES, activate
from adapters.native import gradients as native


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def affine(x: jax.Array, gain: jax.Array, bias: jax.Array, activation: str) -> jax.Array:
    """Maps x [H, W, C] to the same shape; `gain` and `bias` are [C], `activation` is a name."""
    return activate(activation, _line(x, gain, bias))


def _forward(x: Any, gain: Any, bias: Any, activation: str) -> tuple[jax.Array, Any]:
    z = _line(x.value, gain.value, bias.value)
    y = activate(activation, z)
    if gain.perturbed or activation not in ("linear", *PASSES):
        return y, (gain.value, (x.value, bias.value), None)
    mask = None if activation == "linear" else jnp.packbits(PASSES[activation](z), axis=-1)
    return y, (gain.value, None, mask)


def _backward(activation: str, saved: Any, dy: Any) -> tuple[Any, Any, Any]:
    gain, inputs, mask = saved
    dz = dy
    if inputs is not None:
        if activation in native.ACTIVATIONS and native.serve(*inputs, dy, gain):
            return native.of_norm(activation, inputs[0], dy, gain, inputs[1])
        dz = _through_activation(activation, _line(inputs[0], gain, inputs[1]), dy)
    elif mask is not None:
        bits = jnp.unpackbits(mask, axis=-1, count=dy.shape[-1]).astype(bool)
        dz = jnp.where(bits, dy, jnp.zeros((), dy.dtype))
    d_gain = jnp.zeros_like(gain) if inputs is None else jnp.sum(dz * inputs[0], axis=(0, 1))
    return dz * gain[None, None], d_gain, jnp.sum(dz, axis=(0, 1))


def _through_activation(activation: str, z: jax.Array, dy: jax.Array) -> jax.Array:
    if activation == "linear":
        return dy
    if activation in PASSES:
        return jnp.where(PASSES[activation](z), dy, jnp.zeros((), dy.dtype))
    return jax.vjp(functools.partial(activate, activation), z)[1](dy)[0]


affine.defvjp(_forward, _backward, symbolic_zeros=True)


def _line(x: jax.Array, gain: jax.Array, bias: jax.Array) -> jax.Array:
    return x * gain[None, None] + bias[None, None]
