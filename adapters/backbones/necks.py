"""Necks by name: rows that go beside a layer table, for heads that read more than its features.

`TABLE+NECK` names a table with a neck, `mobilenet_v2_1.0+lraspp`, say.
"""

import dataclasses
from collections.abc import Callable

from adapters.backbones.rows import Convolution, Gated, Pooled, Separable
from adapters.backbones.table import LayerTable, NeckRow
from adapters.errors import UnknownNameError
from adapters.modules import NECK

SEPARATOR = "+"


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


NECKS: dict[str, Callable[[LayerTable], tuple[NeckRow, ...]]] = {
    "lraspp": lraspp,
    "ssdlite": ssdlite,
}
