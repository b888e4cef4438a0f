"""Depthwise convolution: shifted multiply-adds on CPU, the native convolution elsewhere.

XLA's CPU backend runs a grouped convolution many times slower than k*k shifted multiply-adds, and
its transpose slower still; so both directions are written out here and `platform_dependent` picks.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from adapters.layers import padding as padding_lib
from adapters.layers.windows import Geometry, taps


def depthwise(
    x: jax.Array, w: jax.Array, stride: int = 1, padding: str = "same", dilation: int = 1
) -> jax.Array:
    """Convolves each channel of x [H, W, C] with its own kernel in w [k, k, 1, C].

    Returns [H', W', C]. `padding` is a convention of `layers.padding`.
    """
    pads = padding_lib.explicit(padding, x.shape[:2], w.shape[0], stride, dilation)
    return _depthwise(x, w, Geometry(stride, dilation, pads))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _depthwise(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    return lax.platform_dependent(
        x,
        w,
        cpu=lambda x, w: shifted(x, w, geometry),
        default=lambda x, w: native(x, w, geometry),
    )


def _forward(
    x: jax.Array, w: jax.Array, geometry: Geometry
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _depthwise(x, w, geometry), (x, w)


def _backward(
    geometry: Geometry, saved: tuple[jax.Array, jax.Array], dy: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, w = saved
    dx = lax.platform_dependent(
        x,
        w,
        dy,
        cpu=lambda x, w, dy: _shifted_input_gradient(x, w, dy, geometry),
        default=lambda x, w, dy: jax.vjp(lambda x: native(x, w, geometry), x)[1](dy)[0],
    )
    dw = lax.platform_dependent(
        x,
        w,
        dy,
        cpu=lambda x, w, dy: _shifted_kernel_gradient(x, w, dy, geometry),
        default=lambda x, w, dy: jax.vjp(lambda w: native(x, w, geometry), w)[1](dy)[0],
    )
    return dx, dw


_depthwise.defvjp(_forward, _backward)


def native(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """The grouped convolution of XLA."""
    y = lax.conv_general_dilated(
        x[None],
        w,
        (geometry.stride, geometry.stride),
        geometry.pads,
        rhs_dilation=(geometry.dilation, geometry.dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )
    return y[0]


def shifted(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """The same as a sum over kernel taps of shifted images times one weight a channel."""
    weights = w.reshape(-1, 1, 1, w.shape[-1])
    terms = [
        seen * weight for seen, weight in zip(taps(x, w.shape[0], geometry), weights, strict=True)
    ]
    return functools.reduce(jnp.add, terms)


def _shifted_kernel_gradient(
    x: jax.Array, w: jax.Array, dy: jax.Array, geometry: Geometry
) -> jax.Array:
    gradients = [jnp.sum(seen * dy, axis=(0, 1)) for seen in taps(x, w.shape[0], geometry)]
    return jnp.stack(gradients).reshape(w.shape)


def _shifted_input_gradient(
    x: jax.Array, w: jax.Array, dy: jax.Array, geometry: Geometry
) -> jax.Array:
    """Correlates dy, spread out by the stride, with the kernel turned around."""
    stride, dilation = geometry.stride, geometry.dilation
    reach = (w.shape[0] - 1) * dilation
    before = tuple(reach - low for low, _ in geometry.pads)
    # What the padded forward image has beyond the last window lies outside dy: it gets zeros.
    after = tuple(
        x.shape[axis] + reach - before[axis] - ((dy.shape[axis] - 1) * stride + 1)
        for axis in (0, 1)
    )
    zero = jnp.zeros((), dy.dtype)
    spread = lax.pad(
        dy,
        zero,
        ((before[0], after[0], stride - 1), (before[1], after[1], stride - 1), (0, 0, 0)),
    )
    return shifted(spread, w[::-1, ::-1], Geometry(1, dilation, ((0, 0), (0, 0))))
