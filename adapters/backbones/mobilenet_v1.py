"""MobileNetV1: Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam; arXiv 1704.04861.

Table 1, as Keras builds it: ReLU6 after every norm, pointwise layers included, and channels cut by
the width without rounding.
"""

from adapters.backbones.rows import Convolution, Row, Separable
from adapters.backbones.table import LayerTable

WIDTHS = (0.25, 0.5, 0.75, 1.0)

STEM = 32
BLOCKS = (  # outputs, stride
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


def mobilenet_v1(width: float = 1.0) -> LayerTable:
    """The table at a width multiplier; there is no tail, so the features narrow with the width.

    1.0 with a 1000-way head has 4,231,976 trainable parameters, and 4,253,864 with its norm
    statistics (Keras's count).

    >>> [mobilenet_v1(width).features for width in WIDTHS]
    [256, 512, 768, 1024]
    """
    channels = int(STEM * width)
    rows: list[Row] = [
        Convolution(inputs=3, outputs=channels, kernel=3, stride=2, activation="relu6")
    ]
    for outputs, stride in BLOCKS:
        outputs = int(outputs * width)
        rows.append(
            Separable(inputs=channels, outputs=outputs, kernel=3, stride=stride, activation="relu6")
        )
        channels = outputs
    return LayerTable(f"mobilenet_v1_{width}", tuple(rows))
