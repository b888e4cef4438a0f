"""Necks by name: rows that go beside a layer table, for heads that read more than its features.

`TABLE+NECK` names a table with a neck, `mobilenet_v2_1.0+lraspp`, say.
"""

import dataclasses
from collections.abc import Callable, Sequence

from adapters.backbones.rows import (
    AtrousPyramid,
    Convolution,
    Gated,
    Pooled,
    PooledPyramid,
    Row,
    Separable,
)
from adapters.backbones.table import LayerTable, NeckRow
from adapters.errors import ModelPatchError, UnknownNameError
from adapters.modules import NECK

SEPARATOR = "+"
PYRAMID = 128  # channels


class NeckError(ModelPatchError):
    """A neck that reads maps which a table does not have."""


def with_neck(table: LayerTable, name: str) -> LayerTable:
    """The table with the neck called `name`.

    Raises UnknownNameError.

    >>> from adapters.backbones.mobilenet_v2 import mobilenet_v2
    >>> with_neck(mobilenet_v2(), "ssdlite").neck[-1].row.outputs
    128
    """
    if name not in NECKS:
        raise UnknownNameError("neck", name, NECKS)
    return dataclasses.replace(
        table, name=f"{table.name}{SEPARATOR}{name}", neck=NECKS[name](table)
    )


def lraspp(table: LayerTable) -> tuple[NeckRow, ...]:
    """What LR-ASPP puts on the last map but a classifier's: `neck_01`, 128 channels and a gate.

    Howard et al., "Searching for MobileNetV3", arXiv 1905.02244, section 5.4, in torchvision's
    form, whose gate pools the whole map. Of tables with an expansion to the classifier as their
    last block (V2's 1280 channels) the map before it is read; of V3 the one that is pooled.
    """
    block, row = _last_map(table)
    gated = Gated(inputs=row.outputs, outputs=128, activation="relu")
    return (NeckRow(f"{NECK}_01", block, gated),)


def deeplab(table: LayerTable) -> tuple[NeckRow, ...]:
    """DeepLabv3 as Mobile networks have it: `neck_01`, 256 channels of a 1x1 and of the mean.

    Of the map that `lraspp` reads. Sandler et al., "MobileNetV2", arXiv 1801.04381, section 6.3,
    which leaves out the 3x3 convolutions; arXiv 1905.02244 calls it R-ASPP.
    """
    return (_atrous_pyramid(table, ()),)


def deeplab_atrous(table: LayerTable) -> tuple[NeckRow, ...]:
    """DeepLabv3 with 3x3 convolutions at the rates 12, 24 and 36: `neck_02`, 256 channels.

    Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", arXiv 1706.05587,
    section 3.3, as torchvision has it: these rates at any output stride (the paper halves them at
    16), and a 3x3 convolution after the pyramid.
    """
    pyramid = _atrous_pyramid(table, (12, 24, 36))
    channels = pyramid.row.outputs
    smooth = Convolution(inputs=channels, outputs=channels, kernel=3, activation="relu")
    return pyramid, NeckRow(f"{NECK}_02", pyramid.name, smooth)


def mosaic(table: LayerTable, cells: tuple[int, ...] = (4, 8, 16)) -> tuple[NeckRow, ...]:
    """MOSAIC: means over windows through one group convolution, then two merges; `neck_04`.

    Weijun Wang and Howard, "MOSAIC: Mobile Segmentation via decoding Aggregated Information and
    encoded Context", arXiv 2112.11623, as tensorflow/models has it: of the map that `lraspp` reads
    the encoder `neck_01` (128 channels), which is enlarged beside the last depthwise map of an
    eighth of the side (`neck_03`) and then added to what a 1x1 makes of that of a quarter. Ours are
    the 64 channels of both merges, where it has a task's classes: tasks share them, and each has a
    1x1 convolution of its own. Ours too is that a map of fewer cells than windows stays as it is.

    Args:
      table: the backbone.
      cells: windows along a side, of each level of the pyramid.

    Raises NeckError for a table without maps of the strides 4 and 8, or of odd channels at its end.
    """
    block, row = _last_map(table)
    kernels, depth = (3, 5), 64
    if row.outputs % len(kernels):
        raise NeckError(
            f"{table.name} ends in {row.outputs} channels, which {len(kernels)} kernels cannot "
            "share: choose another backbone."
        )
    last = _last_of_strides(table, (4, 8), "MOSAIC's decoder")
    (fine, few), (finer, fewer) = (_depthwise_of(*last[stride]) for stride in (8, 4))
    pyramid = PooledPyramid(
        inputs=row.outputs,
        outputs=len(kernels) * depth,
        expanded=depth,
        cells=cells,
        kernels=kernels,
        activation="relu",
    )
    merged = Convolution(inputs=few + pyramid.outputs, outputs=depth, activation="relu")
    smooth = Separable(inputs=depth, outputs=depth, kernel=3, activation="relu")
    detail = Convolution(inputs=fewer, outputs=depth, activation="relu")
    names = [f"{NECK}_{number:02d}" for number in range(1, 5)]
    return (
        NeckRow(names[0], block, pyramid),
        NeckRow(names[1], fine, merged, beside=names[0]),
        NeckRow(names[2], names[1], smooth),
        NeckRow(names[3], finer, detail, adds=names[2], enlarging="bilinear"),
    )


def ssdlite(table: LayerTable) -> tuple[NeckRow, ...]:
    """SSDLite's extra layers: four maps of 512, 256, 256 and 128 channels, each half the last.

    `neck_02`, `neck_04`, `neck_06` and `neck_08`. Sandler et al., "MobileNetV2", arXiv 1801.04381,
    section 6.2, as torchvision has them: a 1x1 convolution to half the channels, then a depthwise
    one of stride 2 and a 1x1, each with its norm and ReLU6.
    """
    return _halving(
        table,
        lambda inputs, outputs: Separable(
            inputs=inputs, outputs=outputs, kernel=3, stride=2, activation="relu6"
        ),
    )


def ssd(table: LayerTable) -> tuple[NeckRow, ...]:
    """SSD's extra layers: the maps of `ssdlite`, each by a whole 3x3 convolution of stride 2.

    Liu et al., "SSD", arXiv 1512.02325, with the channels of TensorFlow's `ssd_mobilenet_v2`.
    """
    return _halving(
        table,
        lambda inputs, outputs: Convolution(
            inputs=inputs, outputs=outputs, kernel=3, stride=2, activation="relu6"
        ),
    )


def fpn(table: LayerTable) -> tuple[NeckRow, ...]:
    """A feature pyramid: five maps of 128 channels, of the strides 8, 16, 32, 64 and 128.

    In this order they are `neck_05`, `neck_04`, `neck_01`, `neck_06` and `neck_07`. Lin et al.,
    "Feature Pyramid Networks for Object Detection", arXiv 1612.03144, section 3, with separable
    convolutions for smoothing and for the two coarsest maps, as in TensorFlow's
    `ssd_mobilenet_v2_fpnlite`; there nothing lies between depthwise and 1x1, here a norm and ReLU6.

    Raises NeckError for a table without maps of the strides 8, 16 and 32.
    """
    last = _last_of_strides(table, (8, 16, 32), "a feature pyramid")
    lateral = [
        Convolution(inputs=last[stride][1].outputs, outputs=PYRAMID) for stride in (32, 16, 8)
    ]
    smooth = Separable(inputs=PYRAMID, outputs=PYRAMID, kernel=3, activation="relu6")
    halved = dataclasses.replace(smooth, stride=2)
    return (
        NeckRow(f"{NECK}_01", last[32][0], lateral[0]),
        NeckRow(f"{NECK}_02", last[16][0], lateral[1], adds=f"{NECK}_01"),
        NeckRow(f"{NECK}_03", last[8][0], lateral[2], adds=f"{NECK}_02"),
        NeckRow(f"{NECK}_04", f"{NECK}_02", smooth),
        NeckRow(f"{NECK}_05", f"{NECK}_03", smooth),
        NeckRow(f"{NECK}_06", f"{NECK}_01", halved),
        NeckRow(f"{NECK}_07", f"{NECK}_06", halved),
    )


def _halving(table: LayerTable, whole: Callable[[int, int], Row]) -> tuple[NeckRow, ...]:
    """Four maps, each of a 1x1 convolution to half its channels and of what `whole` makes of it."""
    rows = [pair for pair in table.named_rows() if not isinstance(pair[1], Pooled)]
    reads, inputs = rows[-1][0], rows[-1][1].outputs
    found: list[NeckRow] = []
    for outputs in (512, 256, 256, 128):
        half = Convolution(inputs=inputs, outputs=outputs // 2, activation="relu6")
        for row in (half, whole(outputs // 2, outputs)):
            name = f"{NECK}_{len(found) + 1:02d}"
            found.append(NeckRow(name, reads, row))
            reads = name
        inputs = outputs
    return tuple(found)


def _last_map(table: LayerTable) -> tuple[str, Row]:
    """The block of the last map but a classifier's expansion: V2's 320 channels, V3's 960."""
    rows = [pair for pair in table.named_rows() if not isinstance(pair[1], Pooled)]
    if len(rows) == len(table.rows) and isinstance(rows[-1][1], Convolution):
        rows.pop()
    return rows[-1]


def _atrous_pyramid(table: LayerTable, rates: tuple[int, ...]) -> NeckRow:
    block, row = _last_map(table)
    pyramid = AtrousPyramid(
        inputs=row.outputs, outputs=256, expanded=256, rates=rates, activation="relu"
    )
    return NeckRow(f"{NECK}_01", block, pyramid)


def _last_of_strides(
    table: LayerTable, strides: Sequence[int], reader: str
) -> dict[int, tuple[str, Row]]:
    """The last block of each stride, by it; raises NeckError where one of `strides` is missing."""
    last, stride = {}, 1
    for name, row in table.named_rows():
        stride *= row.stride
        if not isinstance(row, Pooled):
            last[stride] = (name, row)
    if missing := sorted(set(strides) - last.keys()):
        raise NeckError(
            f"{table.name} has no map of the stride {missing[0]}, which {reader} reads: choose "
            "another backbone."
        )
    return last


def _depthwise_of(block: str, row: Row) -> tuple[str, int]:
    """The map of a block's depthwise layer and its channels; the block's own where it has none."""
    inside = [part.outputs for part in row.parts if part.name == "depthwise"]
    return (f"{block}/depthwise", inside[0]) if inside else (block, row.outputs)


NECKS: dict[str, Callable[[LayerTable], tuple[NeckRow, ...]]] = {
    "deeplab": deeplab,
    "deeplab_atrous": deeplab_atrous,
    "fpn": fpn,
    "lraspp": lraspp,
    "mosaic": mosaic,
    "ssd": ssd,
    "ssdlite": ssdlite,
}
