"""TF-slim (tensorflow/models, research/slim): variables by scope, blocks counted from 0.

Names and norms follow its `nets/mobilenet_v1.py`, `nets/mobilenet/{mobilenet,mobilenet_v3}.py` and
`nets/mobilenet/conv_blocks.py`; norms have slim's epsilon of 1e-3, and its Inception preprocessing
gives pixels from -1 to 1. A checkpoint says neither: one trained by another script may differ, and
then `conventions=` has to be passed.

Detectors of TensorFlow's object detection on MobileNetV2 name SSD's extra layers after the 20
layers before them (research/object_detection, `models/feature_map_generators.py`).
"""

import dataclasses
from collections.abc import Callable, Iterator

from adapters.backbones.conventions import KERAS
from adapters.backbones.naming import style
from adapters.backbones.naming.naming import Module, Naming, convolution, squeeze_excite
from adapters.backbones.necks import with_neck
from adapters.backbones.rows import InvertedResidual, Row, Separable
from adapters.backbones.table import LayerTable


def _mobilenet_v1(table: LayerTable) -> Iterator[Module]:
    """`MobilenetV1/Conv2d_0`, `Conv2d_1_depthwise`, `Conv2d_1_pointwise`."""
    (stem, _), *blocks = table.named_rows()
    yield from _normed(stem, "MobilenetV1/Conv2d_0")
    for number, (name, _) in enumerate(blocks, start=1):
        for part, theirs in (("depthwise", "depthwise"), ("project", "pointwise")):
            yield from _normed(f"{name}/{part}", f"MobilenetV1/Conv2d_{number}_{theirs}")


def _mobilenet_v2(table: LayerTable) -> Iterator[Module]:
    """`MobilenetV2/Conv`, `expanded_conv/depthwise`, `expanded_conv_1/expand`, `Conv_1`."""
    (stem, _), *blocks, (tail, _) = table.named_rows()
    yield from _normed(stem, "MobilenetV2/Conv")
    yield from _blocks(blocks, "MobilenetV2")
    yield from _normed(tail, "MobilenetV2/Conv_1")
    yield from _extra_layers(table, f"MobilenetV2/layer_{len(blocks) + 2}")


def _mobilenet_v3(table: LayerTable) -> Iterator[Module]:
    """As V2, with `expanded_conv_3/squeeze_excite/Conv_1`, and `Conv_2` without a norm."""
    (stem, _), *blocks, (tail, _), (pooled, _) = table.named_rows()
    yield from _normed(stem, "MobilenetV3/Conv")
    yield from _blocks(blocks, "MobilenetV3")
    yield from _normed(tail, "MobilenetV3/Conv_1")
    yield Module(pooled, "MobilenetV3/Conv_2", "biased")


def _blocks(blocks: list[tuple[str, Row]], scope: str) -> Iterator[Module]:
    for number, (name, row) in enumerate(blocks):
        assert isinstance(row, InvertedResidual)
        prefix = f"{scope}/expanded_conv_{number}" if number else f"{scope}/expanded_conv"
        for part in ("expand", "depthwise", "project"):
            if part != "expand" or row.expands:
                yield from _normed(f"{name}/{part}", f"{prefix}/{part}")
        if row.squeezed:
            squeezed = f"{prefix}/squeeze_excite/Conv"
            yield from squeeze_excite(name, squeezed, f"{squeezed}_1")


def _extra_layers(table: LayerTable, last: str) -> Iterator[Module]:
    """`..._1_Conv2d_2_1x1_256` and `..._2_Conv2d_2_3x3_s2_512`; nothing of another neck."""
    bare = dataclasses.replace(table, neck=())
    if table.neck not in [with_neck(bare, name).neck for name in ("ssd", "ssdlite")]:
        return
    pairs = zip(table.neck[::2], table.neck[1::2], strict=True)
    for number, (half, whole) in enumerate(pairs, 2):
        yield from _normed(half.name, f"{last}_1_Conv2d_{number}_1x1_{half.row.outputs}")
        theirs = f"{last}_2_Conv2d_{number}_3x3_s2_{whole.row.outputs}"
        if isinstance(whole.row, Separable):
            yield from _normed(f"{whole.name}/depthwise", f"{theirs}_depthwise")
            yield from _normed(f"{whole.name}/project", theirs)
        else:
            yield from _normed(whole.name, theirs)


def _normed(path: str, theirs: str) -> Iterator[Module]:
    return convolution(path, theirs, f"{theirs}/BatchNorm")


def _naming(version: int, modules: Callable[[LayerTable], Iterator[Module]]) -> Naming:
    scope = f"MobilenetV{version}/"
    return Naming(
        name="TF-slim",
        tables=f"mobilenet_v{version}",
        modules=modules,
        head=Module("head", f"{scope}Logits/Conv2d_1c_1x1", "biased"),
        style=style.SLIM,
        conventions=KERAS,
        scope=scope,
        background=True,
    )


NAMINGS = (
    _naming(1, _mobilenet_v1),
    _naming(2, _mobilenet_v2),
    _naming(3, _mobilenet_v3),
)
