"""From a row to the block it describes."""

import jax

from adapters.backbones import rows
from adapters.backbones.blocks.atrous_pyramid import AtrousPyramidBlock
from adapters.backbones.blocks.attention import AttentionBlock
from adapters.backbones.blocks.convolution import convolution
from adapters.backbones.blocks.fused_bottleneck import FusedBottleneckBlock
from adapters.backbones.blocks.gated import GatedBlock
from adapters.backbones.blocks.inverted_residual import InvertedResidualBlock
from adapters.backbones.blocks.pooled import pooled
from adapters.backbones.blocks.pooled_pyramid import PooledPyramidBlock
from adapters.backbones.blocks.separable import SeparableBlock
from adapters.backbones.blocks.space_to_depth import space_to_depth
from adapters.backbones.blocks.universal_bottleneck import UniversalBottleneckBlock
from adapters.layers.norm import Normalise


def block(row: rows.Row, padding: str, name: str, x: jax.Array, norm: Normalise) -> jax.Array:
    """Maps [H, W, inputs] to [H', W', outputs] through a module called `name`."""
    match row:
        case rows.Convolution():
            return convolution(row, padding, name, x, norm)
        case rows.SpaceToDepth():
            return space_to_depth(row, padding, name, x, norm)
        case rows.Separable():
            return SeparableBlock(row, padding, name=name)(x, norm)
        case rows.InvertedResidual():
            return InvertedResidualBlock(row, padding, name=name)(x, norm)
        case rows.UniversalBottleneck():
            return UniversalBottleneckBlock(row, padding, name=name)(x, norm)
        case rows.FusedBottleneck():
            return FusedBottleneckBlock(row, padding, name=name)(x, norm)
        case rows.Attention():
            return AttentionBlock(row, padding, name=name)(x, norm)
        case rows.Gated():
            return GatedBlock(row, name=name)(x, norm)
        case rows.AtrousPyramid():
            return AtrousPyramidBlock(row, padding, name=name)(x, norm)
        case rows.PooledPyramid():
            return PooledPyramidBlock(row, padding, name=name)(x, norm)
        case rows.Pooled():
            return pooled(row, padding, name, x, norm)
        case _:
            raise TypeError(f"no block for a row of type {type(row).__name__}")
