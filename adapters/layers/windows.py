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
    span = (kernel - 1) * dilation + 1
    rows, columns = ((side - span) // stride + 1 for side in padded.shape[:2])
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
