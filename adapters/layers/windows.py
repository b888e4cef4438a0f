"""Where a kernel meets an image, and what each of its taps sees there."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from adapters.layers import padding as padding_lib


class Geometry(NamedTuple):
    """Stride, dilation and explicit padding of a kernel, in pixels."""

    stride: int
    dilation: int
    pads: padding_lib.Padding


def taps(x: jax.Array, kernel: int, geometry: Geometry) -> list[jax.Array]:
    """What each tap of a kernel of that side meets in x [H, W, C]: k * k images [H', W', C]."""
    stride, dilation, pads = geometry
    padded = jnp.pad(x, (*pads, (0, 0)))
    rows, columns = _counts(x, kernel, geometry)
    corners = [(i * dilation, j * dilation) for i in range(kernel) for j in range(kernel)]
    return [
        lax.slice(
            padded,
            (top, left, 0),
            (top + (rows - 1) * stride + 1, left + (columns - 1) * stride + 1, padded.shape[-1]),
            (stride, stride, 1),
        )
        for top, left in corners
    ]


def windows(x: jax.Array, kernel: int, geometry: Geometry) -> jax.Array:
    """Every window of x [H, W, C] in one row, taps first: [H', W', k * k * C]."""
    if geometry.dilation > 1:
        return jnp.concatenate(taps(x, kernel, geometry), axis=-1)
    # Within a row a window is contiguous: it is cut in parts of a stride, not of a pixel, since
    # copies of a few channels each are slow.
    stride, channels = geometry.stride, x.shape[-1]
    (top, bottom), (left, _) = geometry.pads
    rows, columns = _counts(x, kernel, geometry)
    parts = -(-kernel // stride)
    width = (columns + parts - 1) * stride
    zero = jnp.zeros((), x.dtype)
    padded = lax.pad(x, zero, ((top, bottom, 0), (left, width - x.shape[1] - left, 0), (0, 0, 0)))
    strides = padded.reshape(padded.shape[0], width // stride, stride * channels)
    pieces = [
        lax.slice(
            strides,
            (i, j, 0),
            (i + (rows - 1) * stride + 1, j + columns, min(stride, kernel - j * stride) * channels),
            (stride, 1, 1),
        )
        for i in range(kernel)
        for j in range(parts)
    ]
    return jnp.concatenate(pieces, axis=-1)


def _counts(x: jax.Array, kernel: int, geometry: Geometry) -> tuple[int, ...]:
    """Rows and columns of windows."""
    span = (kernel - 1) * geometry.dilation + 1
    return tuple(
        (side + sum(pads) - span) // geometry.stride + 1
        for side, pads in zip(x.shape[:2], geometry.pads, strict=True)
    )
