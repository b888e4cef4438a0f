"""MobileNetV3: Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam;
ICCV 2019; arXiv 1905.02244, Tables 1 and 2.

The minimalistic forms (tensorflow/models, research/slim/nets/mobilenet) have the same channels, but
3x3 kernels alone, no squeeze-excite and ReLU alone. Two widths of the papers' tables are rounded
there; the expansions here are those of the released code.
"""

from typing import NamedTuple

from adapters.backbones.rows import Convolution, InvertedResidual, Pooled, Row
from adapters.backbones.table import LayerTable, make_divisible

WIDTHS = (0.75, 1.0)


class Bottleneck(NamedTuple):
    """A row of the paper's tables, before its width is cut."""

    kernel: int
    expansion: float
    outputs: int
    squeeze: bool
    activation: str
    stride: int


LARGE = (
    Bottleneck(3, 1, 16, False, "relu", 1),
    Bottleneck(3, 4, 24, False, "relu", 2),
    Bottleneck(3, 3, 24, False, "relu", 1),
    Bottleneck(5, 3, 40, True, "relu", 2),
    Bottleneck(5, 3, 40, True, "relu", 1),
    Bottleneck(5, 3, 40, True, "relu", 1),
    Bottleneck(3, 6, 80, False, "hard_swish", 2),
    Bottleneck(3, 2.5, 80, False, "hard_swish", 1),
    Bottleneck(3, 2.3, 80, False, "hard_swish", 1),
    Bottleneck(3, 2.3, 80, False, "hard_swish", 1),
    Bottleneck(3, 6, 112, True, "hard_swish", 1),
    Bottleneck(3, 6, 112, True, "hard_swish", 1),
    Bottleneck(5, 6, 160, True, "hard_swish", 2),
    Bottleneck(5, 6, 160, True, "hard_swish", 1),
    Bottleneck(5, 6, 160, True, "hard_swish", 1),
)

SMALL = (
    Bottleneck(3, 1, 16, True, "relu", 2),
    Bottleneck(3, 72 / 16, 24, False, "relu", 2),
    Bottleneck(3, 88 / 24, 24, False, "relu", 1),
    Bottleneck(5, 4, 40, True, "hard_swish", 2),
    Bottleneck(5, 6, 40, True, "hard_swish", 1),
    Bottleneck(5, 6, 40, True, "hard_swish", 1),
    Bottleneck(5, 3, 48, True, "hard_swish", 1),
    Bottleneck(5, 3, 48, True, "hard_swish", 1),
    Bottleneck(5, 6, 96, True, "hard_swish", 2),
    Bottleneck(5, 6, 96, True, "hard_swish", 1),
    Bottleneck(5, 6, 96, True, "hard_swish", 1),
)


def mobilenet_v3_large(width: float = 1.0, minimalistic: bool = False) -> LayerTable:
    """Large; with a 1000-way head 5,483,032 trainable parameters, minimalistic 3,924,288.

    >>> [row.expanded for row in mobilenet_v3_large().rows[7:11]]
    [240, 200, 184, 184]
    """
    return _table("large", LARGE, (1, 2, 3, 4, 2, 3, 1), 1280, width, minimalistic)


def mobilenet_v3_small(width: float = 1.0, minimalistic: bool = False) -> LayerTable:
    """Small; with a 1000-way head 2,542,856 trainable parameters, minimalistic 2,044,736."""
    return _table("small", SMALL, (1, 2, 3, 2, 3, 1), 1024, width, minimalistic)


def _table(
    size: str,
    blocks: tuple[Bottleneck, ...],
    stages: tuple[int, ...],
    features: int,
    width: float,
    minimalistic: bool,
) -> LayerTable:
    """Stem of 16 and pooled features stay as they are below width 1, as in released checkpoints."""
    activation = "relu" if minimalistic else "hard_swish"
    stem = 16
    rows: list[Row] = [
        Convolution(inputs=3, outputs=stem, kernel=3, stride=2, activation=activation)
    ]
    for block in blocks:
        inputs = rows[-1].outputs
        outputs = make_divisible(block.outputs * width)
        expanded = make_divisible(inputs * block.expansion) if block.expansion != 1 else inputs
        rows.append(
            InvertedResidual(
                inputs=inputs,
                outputs=outputs,
                kernel=3 if minimalistic else block.kernel,
                expanded=expanded,
                stride=block.stride,
                activation="relu" if minimalistic else block.activation,
                squeezed=make_divisible(expanded / 4) if block.squeeze and not minimalistic else 0,
            )
        )
    last = rows[-1].outputs
    tail = make_divisible(6 * last)
    rows.append(Convolution(inputs=last, outputs=tail, activation=activation))
    rows.append(Pooled(inputs=tail, outputs=features, activation=activation, bias=True))
    form = "_minimalistic" if minimalistic else ""
    return LayerTable(f"mobilenet_v3_{size}{form}_{width}", tuple(rows), stages)
