"""MobileNetV2: Sandler, Howard, Zhu, Zhmoginov, Chen; CVPR 2018; arXiv 1801.04381, Table 2."""

from adapters.backbones.table import LayerTable, Stage, make_divisible, tailed

WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)

STAGES = (
    Stage(expansion=1, outputs=16, repeats=1, stride=1),
    Stage(expansion=6, outputs=24, repeats=2, stride=2),
    Stage(expansion=6, outputs=32, repeats=3, stride=2),
    Stage(expansion=6, outputs=64, repeats=4, stride=2),
    Stage(expansion=6, outputs=96, repeats=3, stride=1),
    Stage(expansion=6, outputs=160, repeats=3, stride=2),
    Stage(expansion=6, outputs=320, repeats=1, stride=1),
)


def mobilenet_v2(width: float = 1.0) -> LayerTable:
    """The table at a width multiplier; the tail keeps 1280 channels below width 1.

    1.0 with a 1000-way head has 3,504,872 trainable parameters (torchvision's count), and
    3,538,984 with its norm statistics (Keras's).

    >>> mobilenet_v2().features
    1280
    """
    stem = make_divisible(32 * width)
    scaled = tuple(s._replace(outputs=make_divisible(s.outputs * width)) for s in STAGES)
    tail = make_divisible(1280 * max(width, 1.0))
    return tailed(f"mobilenet_v2_{width}", stem, scaled, tail, "relu6")
