"""timm: `blocks.STAGE.BLOCK`, and within it names that depend on the kind of block."""

from collections.abc import Iterator

from adapters.backbones import rows
from adapters.backbones.conventions import TORCH, Conventions
from adapters.backbones.naming import style
from adapters.backbones.naming.naming import Module, Naming, convolution, squeeze_excite
from adapters.backbones.table import LayerTable


def _modules(table: LayerTable) -> Iterator[Module]:
    """`conv_stem`, `blocks.2.0.conv_pwl`; a tail before pooling is `conv_head`, where none follows.

    Where one follows, that one is `conv_head`, and the tail is the last block.
    """
    (stem, _), *blocks, (last_name, last) = table.named_rows()
    yield from convolution(stem, "conv_stem", "bn1")
    prefixes = [
        f"blocks.{stage}.{place}"
        for stage, count in enumerate(table.stages)
        for place in range(count)
    ]
    for prefix, (name, row) in zip(prefixes, blocks, strict=True):
        yield from _block(name, row, prefix)
    if not isinstance(last, rows.Pooled):
        yield from convolution(last_name, "conv_head", "bn2")
    elif last.bias:
        yield Module(last_name, "conv_head", "biased")
    else:
        yield from convolution(last_name, "conv_head", "norm_head")


def _block(path: str, row: rows.Row, prefix: str) -> Iterator[Module]:
    match row:
        case rows.Convolution():
            yield from convolution(path, f"{prefix}.conv", f"{prefix}.bn1")
        case rows.InvertedResidual():
            yield from _inverted_residual(path, row, prefix)
        case rows.FusedBottleneck():
            yield from convolution(f"{path}/expand", f"{prefix}.conv_exp", f"{prefix}.bn1")
            yield from convolution(f"{path}/project", f"{prefix}.conv_pwl", f"{prefix}.bn2")
        case rows.UniversalBottleneck():
            yield from _universal_bottleneck(path, row, prefix)
        case rows.Attention():
            yield from _attention(path, row, prefix)
        case _:
            raise TypeError(f"timm has no name for a row of type {type(row).__name__}")


def _inverted_residual(path: str, row: rows.InvertedResidual, prefix: str) -> Iterator[Module]:
    """Norms count within a block, from 1: `bn1` is the expansion's, if there is one."""
    kernels = {"depthwise": "conv_dw", "project": "conv_pw"}
    if row.expands:
        kernels = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
    for number, (part, kernel) in enumerate(kernels.items(), start=1):
        yield from convolution(f"{path}/{part}", f"{prefix}.{kernel}", f"{prefix}.bn{number}")
    if row.squeezed:
        yield from squeeze_excite(path, f"{prefix}.se.conv_reduce", f"{prefix}.se.conv_expand")


def _universal_bottleneck(
    path: str, row: rows.UniversalBottleneck, prefix: str
) -> Iterator[Module]:
    parts = {"expand": "pw_exp", "project": "pw_proj"}
    if row.start_kernel:
        parts["start_depthwise"] = "dw_start"
    if row.kernel:
        parts["depthwise"] = "dw_mid"
    for part, theirs in parts.items():
        yield from convolution(f"{path}/{part}", f"{prefix}.{theirs}.conv", f"{prefix}.{theirs}.bn")
    if row.layer_scale:
        yield Module(f"{path}/layer_scale", f"{prefix}.layer_scale", "gain")


def _attention(path: str, row: rows.Attention, prefix: str) -> Iterator[Module]:
    yield Module(f"{path}/norm", f"{prefix}.norm", "norm")
    for part in ("query", "key", "value", "output"):
        yield Module(f"{path}/attention/{part}", f"{prefix}.attn.{part}.proj", "kernel")
    if row.key_stride > 1:
        for part in ("key", "value"):
            theirs = f"{prefix}.attn.{part}"
            yield from convolution(
                f"{path}/attention/{part}_depthwise", f"{theirs}.down_conv", f"{theirs}.norm"
            )
    yield Module(f"{path}/layer_scale", f"{prefix}.layer_scale", "gain")


def _naming(tables: str, conventions: Conventions | None) -> Naming:
    head = Module("head", "classifier", "matrix")
    return Naming("timm", tables, _modules, head, style=style.TORCH, conventions=conventions)


NAMINGS = (
    _naming("mobilenet_v2", TORCH),
    _naming("mnasnet", TORCH),
    # The same names hold networks trained in PyTorch and ports from TensorFlow (`tf_`), or, for V4,
    # networks trained with ImageNet's and with Inception's pixel scaling.
    _naming("efficientnet_lite", None),
    _naming("mobilenet_v3", None),
    _naming("mobilenet_v4", None),
)
