"""MnasNet: Tan, Chen, Pang, Vasudevan, Sandler, Howard, Le; CVPR 2019; arXiv 1807.11626, Figure 7.

Tables as tensorflow/tpu released them (models/official/mnasnet). ReLU throughout; squeeze-excite
counts its inner channels from the block's input and gates with a sigmoid.
"""

from adapters.backbones.table import LayerTable, Stage, tailed

A1 = (
    Stage(expansion=1, outputs=16, repeats=1, stride=1),
    Stage(expansion=6, outputs=24, repeats=2, stride=2),
    Stage(expansion=3, outputs=40, repeats=3, stride=2, kernel=5, squeeze=0.25),
    Stage(expansion=6, outputs=80, repeats=4, stride=2),
    Stage(expansion=6, outputs=112, repeats=2, stride=1, squeeze=0.25),
    Stage(expansion=6, outputs=160, repeats=3, stride=2, kernel=5, squeeze=0.25),
    Stage(expansion=6, outputs=320, repeats=1, stride=1),
)

B1 = (
    Stage(expansion=1, outputs=16, repeats=1, stride=1),
    Stage(expansion=3, outputs=24, repeats=3, stride=2),
    Stage(expansion=3, outputs=40, repeats=3, stride=2, kernel=5),
    Stage(expansion=6, outputs=80, repeats=3, stride=2, kernel=5),
    Stage(expansion=6, outputs=96, repeats=2, stride=1),
    Stage(expansion=6, outputs=192, repeats=4, stride=2, kernel=5),
    Stage(expansion=6, outputs=320, repeats=1, stride=1),
)

SMALL = (
    Stage(expansion=1, outputs=8, repeats=1, stride=1),
    Stage(expansion=3, outputs=16, repeats=1, stride=2),
    Stage(expansion=6, outputs=16, repeats=2, stride=2),
    Stage(expansion=6, outputs=32, repeats=4, stride=2, kernel=5, squeeze=0.25),
    Stage(expansion=6, outputs=32, repeats=3, stride=1, squeeze=0.25),
    Stage(expansion=6, outputs=88, repeats=3, stride=2, kernel=5, squeeze=0.25),
    Stage(expansion=6, outputs=144, repeats=1, stride=1),
)


def mnasnet_a1() -> LayerTable:
    """A1, with squeeze-excite; 3,887,038 trainable parameters with a 1000-way head."""
    return tailed("mnasnet_a1", 32, A1, 1280, "relu")


def mnasnet_b1() -> LayerTable:
    """B1, without squeeze-excite; 4,383,312 trainable parameters with a 1000-way head."""
    return tailed("mnasnet_b1", 32, B1, 1280, "relu")


def mnasnet_small() -> LayerTable:
    """The small one; 2,030,264 trainable parameters with a 1000-way head."""
    return tailed("mnasnet_small", 8, SMALL, 1280, "relu")
