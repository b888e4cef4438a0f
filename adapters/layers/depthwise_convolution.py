"""Depthwise convolution: shifted multiply-adds on CPU, the native convolution elsewhere.

XLA's CPU backend runs a grouped convolution many times slower than k*k shifted multiply-adds, and
its transposes slower still; so all three are written out here and `platform_dependent` picks.

The kernel's gradient is k*k sums over all pixels. XLA fuses no shifted image into a sum: each would
be written to memory first. So an image at a time, its rows are gone through with one sum a tap and
column, which stay in the innermost caches.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from adapters.layers import padding as padding_lib
from adapters.layers.parts import CACHE, in_parts
from adapters.layers.windows import Geometry, taps
from adapters.native import gradients as native_gradients

_ROWS_AT_ONCE = 4  # of 1, 2, 4 the fastest on x86

# Traced once for all layers of one size, and written into programs as if there were no `jax.jit`.
_once = functools.partial(jax.jit, static_argnames="geometry", inline=True)


def depthwise(
    x: jax.Array, w: jax.Array, stride: int = 1, padding: str = "same", dilation: int = 1
) -> jax.Array:
    """Convolves each channel of x [H, W, C] with its own kernel in w [k, k, 1, C].

    Returns [H', W', C]. `padding` is a convention of `layers.padding`.
    """
    pads = padding_lib.explicit(padding, x.shape[:2], w.shape[0], stride, dilation)
    return _depthwise(x, w, Geometry(stride, dilation, pads))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
@_once
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
    if w.shape[0] in native_gradients.KERNELS and native_gradients.serve(x, w, dy):
        before = geometry.pads[0][0], geometry.pads[1][0]
        return native_gradients.of_depthwise(x, w, dy, geometry.stride, geometry.dilation, before)
    return _gradients(x, w, dy, geometry)


@_once
def _gradients(
    x: jax.Array, w: jax.Array, dy: jax.Array, geometry: Geometry
) -> tuple[jax.Array, jax.Array]:
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
    of_image = functools.partial(_kernel_gradient, kernel=w.shape[0], geometry=geometry)
    one_at_a_time = in_parts(of_image, CACHE)
    return one_at_a_time(x, dy).reshape(w.shape).astype(w.dtype)


def _kernel_gradient(x: jax.Array, dy: jax.Array, kernel: int, geometry: Geometry) -> jax.Array:
    """[k, k, C] of x [H, W, C] and dy [H', W', C]; added up in float32 at least."""
    stride, dilation, pads = geometry
    padded = jnp.pad(x, (*pads, (0, 0)))
    rows, columns, channels = dy.shape
    width = (columns - 1) * stride + 1
    dtype = x.dtype if jnp.finfo(x.dtype).bits >= 32 else jnp.float32

    def of_kernel_row(i: int) -> jax.Array:
        def add(row: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            seen = lax.dynamic_index_in_dim(padded, row * stride + i * dilation, keepdims=False)
            here = lax.dynamic_index_in_dim(dy, row, keepdims=False).astype(dtype)
            shifted_rows = (
                lax.slice(seen, (left, 0), (left + width, channels), (stride, 1)).astype(dtype)
                for left in range(0, kernel * dilation, dilation)
            )
            return tuple(each + met * here for each, met in zip(sums, shifted_rows, strict=True))

        nothing = (jnp.zeros((columns, channels), dtype),) * kernel
        sums = lax.fori_loop(0, rows, add, nothing, unroll=min(_ROWS_AT_ONCE, rows))
        return jnp.stack([jnp.sum(each, axis=0) for each in sums])

    return jnp.stack([of_kernel_row(i) for i in range(kernel)])


def _shifted_input_gradient(
    x: jax.Array, w: jax.Array, dy: jax.Array, geometry: Geometry
) -> jax.Array:
    of_image = functools.partial(_input_gradient, shape=x.shape, geometry=geometry)
    if geometry.stride == 1:
        return of_image(w, dy)
    # Its parts are interleaved in the end, which is slow in memory and fast in a cache.
    return in_parts(of_image, CACHE)(w, dy)


def _input_gradient(
    w: jax.Array, dy: jax.Array, shape: tuple[int, ...], geometry: Geometry
) -> jax.Array:
    """[H, W, C], the `shape`, of w [k, k, 1, C] and dy [H', W', C].

    Pixels of equal remainders by the stride are met by the same taps: each of these parts is a sum
    over shifted dy.
    """
    stride = geometry.stride
    height, width, channels = shape
    counts = -(-height // stride), -(-width // stride)
    met = [_met(axis, w.shape[0], geometry) for axis in (0, 1)]
    reach = [max(abs(shift) for taps in axis for _, shift in taps) for axis in met]
    after = [max(counts[axis] + reach[axis] - dy.shape[axis], 0) for axis in (0, 1)]
    padded = jnp.pad(dy, ((reach[0], after[0]), (reach[1], after[1]), (0, 0)))
    weights = w.reshape(*w.shape[:2], 1, 1, channels)

    def seen(down: int, right: int) -> jax.Array:
        top, left = reach[0] + down, reach[1] + right
        return lax.slice(padded, (top, left, 0), (top + counts[0], left + counts[1], channels))

    def of_pixels(rows: list[tuple[int, int]], columns: list[tuple[int, int]]) -> jax.Array:
        terms = [seen(down, right) * weights[i, j] for i, down in rows for j, right in columns] or [
            jnp.zeros((*counts, channels), dy.dtype)
        ]
        return functools.reduce(jnp.add, terms)

    parts = [jnp.concatenate([of_pixels(r, c) for c in met[1]], axis=-1) for r in met[0]]
    whole = jnp.stack(parts, axis=1).reshape(counts[0] * stride, counts[1] * stride, channels)
    return whole[:height, :width]


def _met(axis: int, kernel: int, geometry: Geometry) -> list[list[tuple[int, int]]]:
    """For each remainder of a pixel's place by the stride: (tap, shift of dy) that meet it.

    Tap i of output r meets the input at r * stride + i * dilation - pad.
    """
    stride, dilation = geometry.stride, geometry.dilation
    before = geometry.pads[axis][0]
    return [
        [
            (tap, (place + before - tap * dilation) // stride)
            for tap in range(kernel)
            if (place + before - tap * dilation) % stride == 0
        ]
        for place in range(stride)
    ]
