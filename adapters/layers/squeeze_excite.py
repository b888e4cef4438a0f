"""Squeeze-and-excitation: Hu, Shen, Sun, arXiv 1709.01507, with a choice of gate."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from adapters.layers.dense import Dense

Gate = Callable[[jax.Array], jax.Array]


class SqueezeExcite(hk.Module):
    """Scales each channel by a gate computed from the image's mean.

    Leaves: `reduce` w [C, squeezed], b; `expand` w [squeezed, C], b. No norm stands here: patches
    of scales and offsets own none of these, `full` owns all. MobileNetV3 gates with
    `jax.nn.hard_sigmoid`, MnasNet with `jax.nn.sigmoid`.
    """

    def __init__(self, squeezed: int, gate: Gate, *, name: str = "squeeze_excite"):
        super().__init__(name=name)
        self._squeezed, self._gate = squeezed, gate

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [H, W, C] to the same shape."""
        mean = jnp.mean(x, axis=(0, 1))
        inner = jax.nn.relu(Dense(self._squeezed, name="reduce")(mean))
        gate = self._gate(Dense(x.shape[-1], name="expand")(inner))
        return x * gate[None, None]
