"""Pixels into channels: the stem of isometric networks."""

import jax

from adapters.backbones.rows import SpaceToDepth
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise


def space_to_depth(
    row: SpaceToDepth, padding: str, name: str, x: jax.Array, norm: Normalise
) -> jax.Array:
    """Maps [H, W, inputs] to [H / block, W / block, outputs]; what is left of a side is cut off.

    With a `resolution`, [H, W, inputs] is resized bilinearly to that map first.
    """
    del padding
    if row.resolution:
        side = row.resolution * row.block
        x = jax.image.resize(x, (side, side, x.shape[-1]), "bilinear")
    return Pointwise(row.outputs, name=name)(rearranged(x, row.block), norm, row.activation)


def rearranged(x: jax.Array, block: int) -> jax.Array:
    """[H, W, C] to [H / block, W / block, block * block * C].

    Channels in TensorFlow's order: (row in the square * block + column) * C + channel.
    """
    rows, columns = x.shape[0] // block, x.shape[1] // block
    squares = x[: rows * block, : columns * block].reshape(rows, block, columns, block, -1)
    return squares.transpose(0, 2, 1, 3, 4).reshape(rows, columns, -1)
