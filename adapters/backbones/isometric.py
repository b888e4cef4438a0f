"""Isometric networks: Sandler, Baccash, Zhmoginov, Howard, "Non-discriminative data or weak model?
On the relative importance of data and model resolution", arXiv 1909.03205.

One resolution through the whole depth, without pooling or strides inside. No table or code was
published that we know of: space-to-depth, MobileNetV3's blocks, and all numbers are our
reconstruction.
"""

from adapters.backbones.rows import Convolution, InvertedResidual, Pooled, SpaceToDepth
from adapters.backbones.table import LayerTable, make_divisible


def isometric(
    channels: int = 96, depth: int = 16, block: int = 16, resolution: int = 0, name: str = ""
) -> LayerTable:
    """The table: `depth` blocks of `channels` on one map.

    The resolution of the images and that of the network are separate settings, as the paper
    studies them; neither changes the weights.

    Args:
      channels: of every block; expanded six times inside it.
      depth: how many blocks.
      block: side of the squares of pixels that become the map's cells.
      resolution: side of the map; images are resized to block * resolution first. 0: images are
        taken as they come, and the map is that much smaller.
      name: the table's; by default `isometric`, and the resolution where there is one.

    >>> isometric(resolution=14).name
    'isometric_14'
    """
    activation = "hard_swish"
    expanded = 6 * channels
    inverted = InvertedResidual(
        inputs=channels,
        outputs=channels,
        kernel=5,
        expanded=expanded,
        activation=activation,
        squeezed=make_divisible(expanded / 4),
    )
    return LayerTable(
        name or (f"isometric_{resolution}" if resolution else "isometric"),
        (
            SpaceToDepth(
                inputs=3,
                outputs=channels,
                stride=block,
                activation=activation,
                block=block,
                resolution=resolution,
            ),
            *[inverted] * depth,
            Convolution(inputs=channels, outputs=expanded, activation=activation),
            Pooled(inputs=expanded, outputs=1280, activation=activation, bias=True),
        ),
    )


SMALL = {4: 64, 8: 34, 16: 16}  # side of the map: channels


def isometric_small(resolution: int) -> LayerTable:
    """A table for the paper's question: images always brought to 128 px, the map's side a choice.

    12.1, 12.2 and 12.5 million multiply-adds at maps of 4, 8 and 16: what the map gains in cells it
    loses in channels.

    Args:
      resolution: a key of `SMALL`.
    """
    return isometric(
        SMALL[resolution],
        depth=8,
        block=128 // resolution,
        resolution=resolution,
        name=f"isometric_small_{resolution}",
    )
