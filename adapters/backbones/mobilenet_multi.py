"""Multi-hardware MobileNets: Chu, Arikan, Bender, Wang and others, "Discovering Multi-Hardware
Mobile Models via Architecture Search", arXiv 2008.08178.

MultiAVG was searched for the mean of four targets' latencies, MultiMAX for the largest. Tables as
tensorflow/models has them (official/vision/modeling/backbones/mobilenet.py), with its segmentation
forms. ReLU throughout, no squeeze-excite.
"""

from typing import NamedTuple

from adapters.backbones.rows import Convolution, InvertedResidual, Pooled
from adapters.backbones.table import LayerTable


class Bottleneck(NamedTuple):
    """A row of the published tables."""

    kernel: int
    stride: int
    outputs: int
    expanded: int


AVERAGE = (
    Bottleneck(3, 2, 32, 96),
    Bottleneck(3, 1, 32, 64),
    Bottleneck(5, 2, 64, 160),
    Bottleneck(3, 1, 64, 192),
    Bottleneck(3, 1, 64, 128),
    Bottleneck(3, 1, 64, 192),
    Bottleneck(5, 2, 128, 384),
    Bottleneck(3, 1, 128, 384),
    Bottleneck(3, 1, 128, 384),
    Bottleneck(3, 1, 128, 384),
    Bottleneck(3, 1, 160, 768),
    Bottleneck(3, 1, 160, 640),
    Bottleneck(3, 2, 192, 960),
)
AVERAGE_END = (Bottleneck(5, 1, 192, 768),) * 3
AVERAGE_SEGMENTATION_END = (
    Bottleneck(5, 1, 96, 384),
    Bottleneck(5, 1, 96, 384),
    Bottleneck(5, 1, 96, 384),
)

MAXIMUM = (
    Bottleneck(3, 2, 32, 96),
    Bottleneck(5, 2, 64, 192),
    Bottleneck(3, 1, 64, 128),
    Bottleneck(3, 1, 64, 128),
    Bottleneck(5, 2, 128, 384),
    Bottleneck(3, 1, 128, 512),
    Bottleneck(3, 1, 128, 384),
    Bottleneck(3, 1, 128, 384),
    Bottleneck(3, 1, 128, 768),
    Bottleneck(3, 1, 128, 384),
    Bottleneck(3, 2, 160, 768),
)
MAXIMUM_END = (
    Bottleneck(5, 1, 160, 640),
    Bottleneck(3, 1, 160, 800),
    Bottleneck(5, 1, 160, 640),
)
MAXIMUM_SEGMENTATION_END = (
    Bottleneck(5, 1, 96, 320),
    Bottleneck(3, 1, 96, 384),
    Bottleneck(5, 1, 96, 320),
)


def multi_avg(bias: bool = True) -> LayerTable:
    """MultiAVG; 4,947,592 trainable parameters with a 1000-way head.

    Args:
      bias: the layer after pooling: True as the authors published it, False with a norm instead, as
        tensorflow/models has had it since (1,280 parameters more).
    """
    return _table("multi_avg", AVERAGE + AVERAGE_END, 960, bias)


def multi_max(bias: bool = True) -> LayerTable:
    """MultiMAX; 4,421,640 trainable parameters with a 1000-way head; `bias` as in `multi_avg`."""
    return _table("multi_max", MAXIMUM + MAXIMUM_END, 960, bias)


def multi_avg_seg() -> LayerTable:
    """MultiAVG with half the channels in its last blocks, for segmentation (used by MOSAIC)."""
    return _table("multi_avg_seg", AVERAGE + AVERAGE_SEGMENTATION_END, 448, False)


def multi_max_seg() -> LayerTable:
    """MultiMAX with fewer channels in its last blocks, for segmentation."""
    return _table("multi_max_seg", MAXIMUM + MAXIMUM_SEGMENTATION_END, 448, False)


def _table(name: str, blocks: tuple[Bottleneck, ...], tail: int, bias: bool) -> LayerTable:
    stem = Convolution(inputs=3, outputs=32, kernel=3, stride=2, activation="relu")
    inputs = [stem.outputs, *(block.outputs for block in blocks)]
    inverted = [
        InvertedResidual(inputs=channels, activation="relu", **block._asdict())
        for channels, block in zip(inputs, blocks, strict=False)
    ]
    return LayerTable(
        name,
        (
            stem,
            *inverted,
            Convolution(inputs=inputs[-1], outputs=tail, activation="relu"),
            Pooled(inputs=tail, outputs=1280, activation="relu", bias=bias),
        ),
    )
