"""efficientnet-pytorch: `_blocks.4._depthwise_conv`; `_bn0` is the expansion's, if any."""

from collections.abc import Iterator

from adapters.backbones.conventions import TENSORFLOW_LITE
from adapters.backbones.naming import style
from adapters.backbones.naming.naming import Module, Naming, convolution
from adapters.backbones.rows import InvertedResidual
from adapters.backbones.table import LayerTable


def _modules(table: LayerTable) -> Iterator[Module]:
    (stem, _), *blocks, (tail, _) = table.named_rows()
    yield from convolution(stem, "_conv_stem", "_bn0")
    for number, (name, row) in enumerate(blocks):
        assert isinstance(row, InvertedResidual)
        for place, part in enumerate(("expand", "depthwise", "project")):
            if part != "expand" or row.expands:
                prefix = f"_blocks.{number}"
                yield from convolution(
                    f"{name}/{part}", f"{prefix}._{part}_conv", f"{prefix}._bn{place}"
                )
    yield from convolution(tail, "_conv_head", "_bn1")


NAMINGS = (
    Naming(
        name="efficientnet-pytorch",
        tables="efficientnet_lite",
        modules=_modules,
        head=Module("head", "_fc", "matrix"),
        style=style.TORCH,
        conventions=TENSORFLOW_LITE,
    ),
)
