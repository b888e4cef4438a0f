"""Depthwise convolution as a layer."""

import haiku as hk
import jax

from adapters.layers.adapter import Across, adapted
from adapters.layers.depthwise_convolution import depthwise
from adapters.layers.mixture import mixed_kernel
from adapters.layers.norm import Normalise, normalise
from adapters.layers.optional import modulated, passed_by


class Depthwise(hk.Module):
    """Depthwise convolution with its norm and activation; leaf `w` [k, k, 1, C].

    For the optional leaves `bases` and `mix` see `adapters.layers.mixture`, for `bypass`
    `adapters.layers.optional`.
    """

    def __init__(self, kernel: int, stride: int, padding: str, dilation: int = 1, *, name: str):
        super().__init__(name=name)
        self._kernel, self._stride = kernel, stride
        self._padding, self._dilation = padding, dilation

    def __call__(self, x: jax.Array, norm: Normalise, activation: str = "linear") -> jax.Array:
        """Maps [H, W, C] to [H', W', C]."""
        shape = (self._kernel, self._kernel, 1, x.shape[-1])
        fan_in = self._kernel * self._kernel
        w = hk.get_parameter("w", shape, x.dtype, hk.initializers.RandomNormal(fan_in**-0.5))
        y = depthwise(x, mixed_kernel(self, w), self._stride, self._padding, self._dilation)
        across = Across(x, self._kernel, self._stride, self._dilation, self._padding)
        y = normalise(modulated(self, adapted(self, y, across)), norm, activation)
        return passed_by(self, x, y)
