"""MobileNetV4: Qin, Leichner, Delakis and others; ECCV 2024; arXiv 2404.10518, Tables 11 to 15.

Tables as the released code has them (tensorflow/models and timm agree). For Hybrid-M the paper's
own table differs, and has 95,360 parameters more; published weights follow the code. The first
pairs of Conv-S are plain convolutions, each activated, though the paper calls them fused
bottlenecks. The hybrids scale the branch of every universal bottleneck and attention.
"""

from typing import NamedTuple

from adapters.backbones.rows import (
    Attention,
    Convolution,
    FusedBottleneck,
    Pooled,
    Row,
    UniversalBottleneck,
)
from adapters.backbones.table import LayerTable


class Conv(NamedTuple):
    """A convolution with activation, by its kernel."""

    kernel: int
    outputs: int
    stride: int = 1


class Fused(NamedTuple):
    """A fused bottleneck of a 3x3 kernel and stride 2."""

    expanded: int
    outputs: int


class Universal(NamedTuple):
    """A universal bottleneck: kernels before the expansion and inside; 0: none."""

    start_kernel: int
    kernel: int
    expanded: int
    outputs: int
    stride: int = 1


class Mqa(NamedTuple):
    """Mobile multi-query attention, which keeps its channels."""

    heads: int
    size: int
    key_stride: int


Block = Conv | Fused | Universal | Mqa

CONV_SMALL: tuple[Block, ...] = (
    Conv(3, 32, 2),
    Conv(1, 32),
    Conv(3, 96, 2),
    Conv(1, 64),
    Universal(5, 5, 192, 96, 2),
    *[Universal(0, 3, 192, 96)] * 4,
    Universal(3, 0, 384, 96),
    Universal(3, 3, 576, 128, 2),
    Universal(5, 5, 512, 128),
    Universal(0, 5, 512, 128),
    Universal(0, 5, 384, 128),
    Universal(0, 3, 512, 128),
    Universal(0, 3, 512, 128),
)

CONV_MEDIUM: tuple[Block, ...] = (
    Fused(128, 48),
    Universal(3, 5, 192, 80, 2),
    Universal(3, 3, 160, 80),
    Universal(3, 5, 480, 160, 2),
    Universal(3, 3, 640, 160),
    Universal(3, 3, 640, 160),
    Universal(3, 5, 640, 160),
    Universal(3, 3, 640, 160),
    Universal(3, 0, 640, 160),
    Universal(0, 0, 320, 160),
    Universal(3, 0, 640, 160),
    Universal(5, 5, 960, 256, 2),
    Universal(5, 5, 1024, 256),
    Universal(3, 5, 1024, 256),
    Universal(3, 5, 1024, 256),
    Universal(0, 0, 1024, 256),
    Universal(3, 0, 1024, 256),
    Universal(3, 5, 512, 256),
    Universal(5, 5, 1024, 256),
    Universal(0, 0, 1024, 256),
    Universal(0, 0, 1024, 256),
    Universal(5, 0, 512, 256),
)

CONV_LARGE: tuple[Block, ...] = (
    Fused(96, 48),
    Universal(3, 5, 192, 96, 2),
    Universal(3, 3, 384, 96),
    Universal(3, 5, 384, 192, 2),
    *[Universal(3, 3, 768, 192)] * 3,
    Universal(3, 5, 768, 192),
    *[Universal(5, 3, 768, 192)] * 5,
    Universal(3, 0, 768, 192),
    Universal(5, 5, 768, 512, 2),
    *[Universal(5, 5, 2048, 512)] * 3,
    Universal(5, 0, 2048, 512),
    Universal(5, 3, 2048, 512),
    *[Universal(5, 0, 2048, 512)] * 2,
    Universal(5, 3, 2048, 512),
    Universal(5, 5, 2048, 512),
    *[Universal(5, 0, 2048, 512)] * 3,
)

HYBRID_MEDIUM: tuple[Block, ...] = (
    Fused(128, 48),
    Universal(3, 5, 192, 80, 2),
    Universal(3, 3, 160, 80),
    Universal(3, 5, 480, 160, 2),
    Universal(0, 0, 320, 160),
    Universal(3, 3, 640, 160),
    Universal(3, 5, 640, 160),
    Mqa(4, 64, 2),
    Universal(3, 3, 640, 160),
    Mqa(4, 64, 2),
    Universal(3, 0, 640, 160),
    Mqa(4, 64, 2),
    Universal(3, 3, 640, 160),
    Mqa(4, 64, 2),
    Universal(3, 0, 640, 160),
    Universal(5, 5, 960, 256, 2),
    Universal(5, 5, 1024, 256),
    Universal(3, 5, 1024, 256),
    Universal(3, 5, 1024, 256),
    Universal(0, 0, 512, 256),
    Universal(3, 5, 512, 256),
    Universal(0, 0, 512, 256),
    Universal(0, 0, 1024, 256),
    Mqa(4, 64, 1),
    Universal(3, 0, 1024, 256),
    Mqa(4, 64, 1),
    Universal(5, 5, 1024, 256),
    Mqa(4, 64, 1),
    Universal(5, 0, 1024, 256),
    Mqa(4, 64, 1),
    Universal(5, 0, 1024, 256),
)

HYBRID_LARGE: tuple[Block, ...] = (
    Fused(96, 48),
    Universal(3, 5, 192, 96, 2),
    Universal(3, 3, 384, 96),
    Universal(3, 5, 384, 192, 2),
    *[Universal(3, 3, 768, 192)] * 3,
    Universal(3, 5, 768, 192),
    Universal(5, 3, 768, 192),
    *(Universal(5, 3, 768, 192), Mqa(8, 48, 2)) * 4,
    Universal(3, 0, 768, 192),
    Universal(5, 5, 768, 512, 2),
    *[Universal(5, 5, 2048, 512)] * 3,
    Universal(5, 0, 2048, 512),
    Universal(5, 3, 2048, 512),
    *[Universal(5, 0, 2048, 512)] * 2,
    Universal(5, 3, 2048, 512),
    Universal(5, 5, 2048, 512),
    *(Mqa(8, 64, 1), Universal(5, 0, 2048, 512)) * 4,
)


def mobilenet_v4_conv_small() -> LayerTable:
    """Conv-S, made for 224 px; 3,774,024 trainable parameters with a 1000-way head."""
    return _table("conv_small", 32, CONV_SMALL, (2, 2, 6, 6, 1))


def mobilenet_v4_conv_medium() -> LayerTable:
    """Conv-M, made for 256 px; 9,715,512 trainable parameters with a 1000-way head."""
    return _table("conv_medium", 32, CONV_MEDIUM, (1, 2, 8, 11, 1))


def mobilenet_v4_conv_large() -> LayerTable:
    """Conv-L, made for 384 px; 32,590,864 trainable parameters with a 1000-way head."""
    return _table("conv_large", 24, CONV_LARGE, (1, 2, 11, 13, 1))


def mobilenet_v4_hybrid_medium() -> LayerTable:
    """Hybrid-M, made for 256 px; 11,074,648 trainable parameters with a 1000-way head."""
    return _table("hybrid_medium", 32, HYBRID_MEDIUM, (1, 2, 12, 16, 1))


def mobilenet_v4_hybrid_large() -> LayerTable:
    """Hybrid-L, made for 384 px, with GELU; 37,764,624 trainable parameters with 1000 classes."""
    return _table("hybrid_large", 24, HYBRID_LARGE, (1, 2, 15, 18, 1), "gelu")


def _table(
    size: str,
    stem: int,
    blocks: tuple[Block, ...],
    stages: tuple[int, ...],
    activation: str = "relu",
) -> LayerTable:
    hybrid = any(isinstance(block, Mqa) for block in blocks)
    rows: list[Row] = [
        Convolution(inputs=3, outputs=stem, kernel=3, stride=2, activation=activation)
    ]
    for block in blocks:
        rows.append(_row(block, rows[-1].outputs, activation, hybrid))
    rows.append(Convolution(inputs=rows[-1].outputs, outputs=960, activation=activation))
    rows.append(Pooled(inputs=960, outputs=1280, activation=activation, bias=False))
    return LayerTable(f"mobilenet_v4_{size}", tuple(rows), stages)


def _row(block: Block, inputs: int, activation: str, layer_scale: bool) -> Row:
    match block:
        case Conv():
            return Convolution(inputs=inputs, activation=activation, **block._asdict())
        case Fused():
            return FusedBottleneck(
                inputs=inputs, kernel=3, stride=2, activation=activation, **block._asdict()
            )
        case Universal():
            return UniversalBottleneck(
                inputs=inputs, activation=activation, layer_scale=layer_scale, **block._asdict()
            )
        case Mqa():
            return Attention(inputs=inputs, outputs=inputs, kernel=0, **block._asdict())
