"""keras.applications: layers by name, blocks counted from 0."""

from collections.abc import Iterator

from adapters.backbones.conventions import KERAS, KERAS_V1
from adapters.backbones.naming import style
from adapters.backbones.naming.naming import Module, Naming, convolution, squeeze_excite
from adapters.backbones.rows import InvertedResidual
from adapters.backbones.table import LayerTable


def _mobilenet_v1(table: LayerTable) -> Iterator[Module]:
    """`conv1`, `conv_dw_1`, `conv_pw_1_bn`; blocks count from 1."""
    (stem, _), *blocks = table.named_rows()
    yield from convolution(stem, "conv1", "conv1_bn")
    for number, (name, _) in enumerate(blocks, start=1):
        for part, short in (("depthwise", "dw"), ("project", "pw")):
            theirs = f"conv_{short}_{number}"
            yield from convolution(f"{name}/{part}", theirs, f"{theirs}_bn")


def _mobilenet_v2(table: LayerTable) -> Iterator[Module]:
    """`Conv1`, `expanded_conv_project`, `block_5_depthwise_BN`, `Conv_1`."""
    (stem, _), *blocks, (tail, _) = table.named_rows()
    yield from convolution(stem, "Conv1", "bn_Conv1")
    for number, (name, row) in enumerate(blocks):
        prefix = f"block_{number}" if number else "expanded_conv"
        yield from _block(name, row, prefix, "BN")
    yield from convolution(tail, "Conv_1", "Conv_1_bn")


def _mobilenet_v3(table: LayerTable) -> Iterator[Module]:
    """`conv`, `expanded_conv_depthwise`, `expanded_conv_3_squeeze_excite_conv_1`, `conv_2`."""
    (stem, _), *blocks, (tail, _), (pooled, _) = table.named_rows()
    yield from convolution(stem, "conv", "conv_bn")
    for number, (name, row) in enumerate(blocks):
        prefix = f"expanded_conv_{number}" if number else "expanded_conv"
        yield from _block(name, row, prefix, "bn")
    yield from convolution(tail, "conv_1", "conv_1_bn")
    yield Module(pooled, "conv_2", "biased")


def _block(path: str, row: object, prefix: str, norm: str) -> Iterator[Module]:
    assert isinstance(row, InvertedResidual)
    parts = ("expand", "depthwise") if row.expands else ("depthwise",)
    for part in parts:
        yield from convolution(f"{path}/{part}", f"{prefix}_{part}", f"{prefix}_{part}_{norm}")
    if row.squeezed:
        squeezed = f"{prefix}_squeeze_excite_conv"
        yield from squeeze_excite(path, squeezed, f"{squeezed}_1")
    project = f"{prefix}_project"
    yield from convolution(f"{path}/project", project, f"{project}_{norm}")


NAMINGS = (
    Naming(
        name="Keras",
        tables="mobilenet_v1",
        modules=_mobilenet_v1,
        head=Module("head", "conv_preds", "biased"),
        style=style.KERAS,
        conventions=KERAS_V1,
    ),
    Naming(
        name="Keras",
        tables="mobilenet_v2",
        modules=_mobilenet_v2,
        head=Module("head", "predictions", "matrix"),
        style=style.KERAS,
        conventions=KERAS,
    ),
    Naming(
        name="Keras",
        tables="mobilenet_v3",
        modules=_mobilenet_v3,
        head=Module("head", "logits", "biased"),
        style=style.KERAS,
        conventions=KERAS,
    ),
)
