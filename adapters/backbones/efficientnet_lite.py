"""EfficientNet-Lite0: Tan and Le, arXiv 1905.11946, Table 1, as tensorflow/tpu made it for phones.

MobileNetV2's family: inverted residuals with ReLU6 and no squeeze-excite.
"""

from adapters.backbones.table import LayerTable, Stage, tailed

STAGES = (
    Stage(expansion=1, outputs=16, repeats=1, stride=1),
    Stage(expansion=6, outputs=24, repeats=2, stride=2),
    Stage(expansion=6, outputs=40, repeats=2, stride=2, kernel=5),
    Stage(expansion=6, outputs=80, repeats=3, stride=2),
    Stage(expansion=6, outputs=112, repeats=3, stride=1, kernel=5),
    Stage(expansion=6, outputs=192, repeats=4, stride=2, kernel=5),
    Stage(expansion=6, outputs=320, repeats=1, stride=1),
)


def efficientnet_lite0() -> LayerTable:
    """The table; 4,652,008 trainable parameters with a 1000-way head.

    >>> len(efficientnet_lite0().rows)
    18
    """
    return tailed("efficientnet_lite0", 32, STAGES, 1280, "relu6")
