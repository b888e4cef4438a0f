"""torchvision.models: layers by their number in nested lists."""

from collections.abc import Iterator

from adapters.backbones.conventions import TORCH
from adapters.backbones.naming import style
from adapters.backbones.naming.naming import Module, Naming, convolution, squeeze_excite
from adapters.backbones.rows import InvertedResidual, Row
from adapters.backbones.table import LayerTable


def _mobilenet_v2(table: LayerTable) -> Iterator[Module]:
    """`features.3.conv.1.0.weight`; the last pair of a block is not nested."""
    (stem, _), *blocks, (tail, _) = table.named_rows()
    yield from _pair(stem, "features.0")
    for number, (name, row) in enumerate(blocks, start=1):
        *nested, last = _parts(row)
        prefix = f"features.{number}.conv"
        for i, part in enumerate(nested):
            yield from _pair(f"{name}/{part}", f"{prefix}.{i}")
        place = len(nested)
        yield from convolution(f"{name}/{last}", f"{prefix}.{place}", f"{prefix}.{place + 1}")
    yield from _pair(tail, f"features.{len(blocks) + 1}")


def _mobilenet_v3(table: LayerTable) -> Iterator[Module]:
    """`features.4.block.2.fc1.weight`; places shift without expansion or squeeze-excite."""
    (stem, _), *blocks, (tail, _), (pooled, _) = table.named_rows()
    yield from _pair(stem, "features.0")
    for number, (name, row) in enumerate(blocks, start=1):
        *before, last = _parts(row)
        prefix, place = f"features.{number}.block", len(before)
        for i, part in enumerate(before):
            yield from _pair(f"{name}/{part}", f"{prefix}.{i}")
        if isinstance(row, InvertedResidual) and row.squeezed:
            yield from squeeze_excite(name, f"{prefix}.{place}.fc1", f"{prefix}.{place}.fc2")
            place += 1
        yield from _pair(f"{name}/{last}", f"{prefix}.{place}")
    yield from _pair(tail, f"features.{len(blocks) + 1}")
    yield Module(pooled, "classifier.0", "matrix")


def _mnasnet(table: LayerTable) -> Iterator[Module]:
    """`layers.8.0.layers.3.weight`: the stem and first block lie flat, then one list a stage."""
    (stem, _), (first, _), *blocks, (tail, _) = table.named_rows()
    yield from convolution(stem, "layers.0", "layers.1")
    yield from convolution(f"{first}/depthwise", "layers.3", "layers.4")
    yield from convolution(f"{first}/project", "layers.6", "layers.7")
    lists = range(8, 8 + len(table.stages) - 1)
    prefixes = [
        f"layers.{number}.{repeat}.layers"
        for number, repeats in zip(lists, table.stages[1:], strict=True)
        for repeat in range(repeats)
    ]
    for prefix, (name, row) in zip(prefixes, blocks, strict=True):
        for i, part in enumerate(_parts(row)):
            yield from convolution(f"{name}/{part}", f"{prefix}.{3 * i}", f"{prefix}.{3 * i + 1}")
    yield from convolution(tail, f"layers.{lists.stop}", f"layers.{lists.stop + 1}")


def _parts(row: Row) -> tuple[str, ...]:
    assert isinstance(row, InvertedResidual)
    return ("expand", "depthwise", "project") if row.expands else ("depthwise", "project")


def _pair(path: str, theirs: str) -> Iterator[Module]:
    return convolution(path, f"{theirs}.0", f"{theirs}.1")


NAMINGS = (
    Naming(
        name="torchvision",
        tables="mobilenet_v2",
        modules=_mobilenet_v2,
        head=Module("head", "classifier.1", "matrix"),
        style=style.TORCH,
        conventions=TORCH,
    ),
    Naming(
        name="torchvision",
        tables="mobilenet_v3",
        modules=_mobilenet_v3,
        head=Module("head", "classifier.3", "matrix"),
        style=style.TORCH,
        conventions=TORCH._replace(epsilon=1e-3),
    ),
    Naming(
        name="torchvision",
        tables="mnasnet_b1",
        modules=_mnasnet,
        head=Module("head", "classifier.1", "matrix"),
        style=style.TORCH,
        conventions=TORCH,
    ),
)
