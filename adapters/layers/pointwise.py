"""1x1 convolution: one matrix product over all pixels."""

import haiku as hk
import jax

from adapters.layers.adapter import Across, adapted
from adapters.layers.mixture import mixed_pointwise
from adapters.layers.norm import Normalise, normalise
from adapters.layers.optional import modulated, optional
from adapters.layers.pixels import pointwise


class Pointwise(hk.Module):
    """1x1 convolution with its norm and activation; leaf `w` [in, out], bases, and a side path.

    The optional leaves `side_down` [in, r] and `side_up` [r, out] add (x @ side_down) @ side_up;
    for `bases` [N, in, out] and `mix` [N] see `adapters.layers.mixture`.
    The last layer of a block also has room for adapters across it.
    """

    def __init__(self, outputs: int, *, name: str):
        super().__init__(name=name)
        self._outputs = outputs

    def __call__(
        self,
        x: jax.Array,
        norm: Normalise,
        activation: str = "linear",
        across: Across | None = None,
    ) -> jax.Array:
        """Maps [H, W, in] to [H, W, out]; `across` is the block that this layer ends."""
        inputs = x.shape[-1]
        init = hk.initializers.RandomNormal((2 / self._outputs) ** 0.5)
        w = hk.get_parameter("w", (inputs, self._outputs), x.dtype, init)
        y = mixed_pointwise(self, x, w)
        down, up = optional(self, "side_down"), optional(self, "side_up")
        if down is not None and up is not None:
            y = y + pointwise(pointwise(x, down), up)
        if across is not None:
            y = adapted(self, y, across)
        return normalise(modulated(self, y), norm, activation)


class Projection(hk.Module):
    """1x1 convolution alone; leaf `w` [in, out]."""

    def __init__(self, outputs: int, *, name: str):
        super().__init__(name=name)
        self._outputs = outputs

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [H, W, in] to [H, W, out]."""
        inputs = x.shape[-1]
        init = hk.initializers.RandomNormal(inputs**-0.5)
        return pointwise(x, hk.get_parameter("w", (inputs, self._outputs), x.dtype, init))
