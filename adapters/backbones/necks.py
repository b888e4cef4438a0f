"""Necks by name: rows that go beside a layer table, for heads that read more than its features.

`TABLE+NECK` names a table with a neck, `mobilenet_v2_1.0+lraspp`, say.
"""

import dataclasses
from collections.abc import Callable

from adapters.backbones.rows import Convolution, Gated, Pooled, Separable
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
    rows = [pair for pair in table.named_rows() if not isinstance(pair[1], Pooled)]
    if len(rows) == len(table.rows) and isinstance(rows[-1][1], Convolution):
        rows.pop()
    block, row = rows[-1]
    gated = Gated(inputs=row.outputs, outputs=128, activation="relu")
    return (NeckRow(f"{NECK}_01", block, gated),)


def ssdlite(table: LayerTable) -> tuple[NeckRow, ...]:
    """SSDLite's extra layers: four maps of 512, 256, 256 and 128 channels, each half the last.

    `neck_02`, `neck_04`, `neck_06` and `neck_08`. Sandler et al., "MobileNetV2", arXiv 1801.04381,
    section 6.2, as torchvision has them: a 1x1 convolution to half the channels, then a depthwise
    one of stride 2 and a 1x1, each with its norm and ReLU6.
    """
    rows = [pair for pair in table.named_rows() if not isinstance(pair[1], Pooled)]
    reads, inputs = rows[-1][0], rows[-1][1].outputs
    found: list[NeckRow] = []
    for outputs in (512, 256, 256, 128):
        half = Convolution(inputs=inputs, outputs=outputs // 2, activation="relu6")
        whole = Separable(
            inputs=outputs // 2, outputs=outputs, kernel=3, stride=2, activation="relu6"
        )
        for row in (half, whole):
            name = f"{NECK}_{len(found) + 1:02d}"
            found.append(NeckRow(name, reads, row))
            reads = name
        inputs = outputs
    return tuple(found)


def fpn(table: LayerTable) -> tuple[NeckRow, ...]:
    """A feature pyramid: five maps of 128 channels, of the strides 8, 16, 32, 64 and 128.

    In this order they are `neck_05`, `neck_04`, `neck_01`, `neck_06` and `neck_07`. Lin et al.,
    "Feature Pyramid Networks for Object Detection", arXiv 1612.03144, section 3, with separable
    convolutions for smoothing and for the two coarsest maps, as in TensorFlow's
    `ssd_mobilenet_v2_fpnlite`; there nothing lies between depthwise and 1x1, here a norm and ReLU6.

    Raises NeckError for a table without maps of the strides 8, 16 and 32.
    """
    last, stride = {}, 1
    for name, row in table.named_rows():
        stride *= row.stride
        if not isinstance(row, Pooled):
            last[stride] = (name, row.outputs)
    if missing := sorted({8, 16, 32} - last.keys()):
        raise NeckError(
            f"{table.name} has no map of the stride {missing[0]}, which a feature pyramid reads: "
            "choose another backbone."
        )
    lateral = [Convolution(inputs=last[stride][1], outputs=PYRAMID) for stride in (32, 16, 8)]
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


NECKS: dict[str, Callable[[LayerTable], tuple[NeckRow, ...]]] = {
    "fpn": fpn,
    "lraspp": lraspp,
    "ssdlite": ssdlite,
}
