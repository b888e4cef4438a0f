"""Full convolution: a matrix product on CPU, the native convolution elsewhere.

XLA's CPU backend takes ten times as long for three input channels as the product does. The product
is of copied windows, k * k / stride^2 times the input: so many images at once as fit a cache.
"""

import functools
import math

import haiku as hk
import jax
from jax import lax

from adapters.layers import padding as padding_lib
from adapters.layers.norm import Normalise, normalise
from adapters.layers.optional import modulated
from adapters.layers.parts import in_parts
from adapters.layers.windows import Geometry, windows


class Convolution(hk.Module):
    """k x k convolution with its norm and activation; leaf `w` [k, k, in, out]."""

    def __init__(
        self, outputs: int, kernel: int, stride: int, padding: str, dilation: int = 1, *, name: str
    ):
        super().__init__(name=name)
        self._outputs, self._kernel = outputs, kernel
        self._stride, self._padding, self._dilation = stride, padding, dilation

    def __call__(self, x: jax.Array, norm: Normalise, activation: str = "linear") -> jax.Array:
        """Maps [H, W, in] to [H', W', out]."""
        shape = (self._kernel, self._kernel, x.shape[-1], self._outputs)
        init = hk.initializers.RandomNormal((2 / (self._kernel**2 * self._outputs)) ** 0.5)
        w = hk.get_parameter("w", shape, x.dtype, init)
        y = convolution(x, w, self._stride, self._padding, self._dilation)
        return normalise(modulated(self, y), norm, activation)


def convolution(
    x: jax.Array, w: jax.Array, stride: int = 1, padding: str = "same", dilation: int = 1
) -> jax.Array:
    """Convolves x [H, W, in] with w [k, k, in, out]; returns [H', W', out]."""
    pads = padding_lib.explicit(padding, x.shape[:2], w.shape[0], stride, dilation)
    geometry = Geometry(stride, dilation, pads)
    return lax.platform_dependent(
        x,
        w,
        cpu=lambda x, w: as_product(x, w, geometry),
        default=lambda x, w: native(x, w, geometry),
    )


def native(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """The convolution of XLA."""
    y = lax.conv_general_dilated(
        x[None],
        w,
        (geometry.stride, geometry.stride),
        geometry.pads,
        rhs_dilation=(geometry.dilation, geometry.dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return y[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def as_product(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """The same as one matrix product of every pixel's window, [H', W', k * k * in], with w."""
    size = _bytes_of_windows(x, w, geometry)
    return in_parts(functools.partial(_product, geometry), size)(x, w)


def _forward(
    x: jax.Array, w: jax.Array, geometry: Geometry
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return as_product(x, w, geometry), (x, w)


def _backward(
    geometry: Geometry, saved: tuple[jax.Array, jax.Array], dy: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, w = saved
    size = _bytes_of_windows(x, w, geometry)

    def of_input(x: jax.Array, w: jax.Array, dy: jax.Array) -> jax.Array:
        return jax.vjp(lambda x: _product(geometry, x, w), x)[1](dy)[0]

    def of_kernel(x: jax.Array, w: jax.Array, dy: jax.Array) -> jax.Array:
        return jax.vjp(lambda w: _product(geometry, x, w), w)[1](dy)[0]

    return in_parts(of_input, size)(x, w, dy), in_parts(of_kernel, size)(x, w, dy)


as_product.defvjp(_forward, _backward)


def _product(geometry: Geometry, x: jax.Array, w: jax.Array) -> jax.Array:
    seen = windows(x, w.shape[0], geometry)
    return lax.dot_general(seen, w.reshape(-1, w.shape[-1]), (((2,), (0,)), ((), ())))


def _bytes_of_windows(x: jax.Array, w: jax.Array, geometry: Geometry) -> int:
    seen = jax.eval_shape(lambda x: windows(x, w.shape[0], geometry), x)
    return math.prod(seen.shape) * seen.dtype.itemsize
