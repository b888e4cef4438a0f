"""How other code bases name the tensors of a layer table, and how they lay kernels out."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from adapters.backbones.conventions import KERAS, TENSORFLOW_LITE, TORCH, Conventions
from adapters.backbones.table import LayerTable, Row

Shape = tuple[int, ...]
Place = tuple[str, str]
"""Module path and leaf name on our side."""


class Convolution(NamedTuple):
    """One of our module paths, with their names for the convolution and for its norm."""

    path: str
    kernel: str
    norm: str


class Naming(NamedTuple):
    """One code base's way to write a backbone down.

    Attributes:
      name: what error messages call it.
      convolutions: every convolution of a table, in order.
      norm_leaves: their names for our `scale, offset, mean, var`.
      head: their names for our head's `w` and `b`.
      torch: whether kernels are laid out as PyTorch does, else as Keras does.
      conventions: table-name prefix to conventions, where the naming implies them.
    """

    name: str
    convolutions: Callable[[LayerTable], Iterator[Convolution]]
    norm_leaves: tuple[str, str, str, str]
    head: tuple[str, str]
    torch: bool
    conventions: Mapping[str, Conventions]

    def places(self, table: LayerTable) -> dict[str, Place]:
        """Their name of every tensor of the table, the head aside, to ours."""
        leaf = ".weight" if self.torch else "/kernel"
        names: dict[str, Place] = {}
        for path, kernel, norm in self.convolutions(table):
            names[kernel + leaf] = (path, "w")
            for theirs, ours in zip(self.norm_leaves, _NORM, strict=True):
                names[norm + theirs] = (f"{path}/norm", ours)
        return names

    def shape(self, path: str, shape: Shape) -> Shape:
        """Their shape of the leaf at `path` that has `shape` here."""
        if len(shape) == 1:
            return shape
        height, width, inputs, outputs = (1, 1, *shape) if len(shape) == 2 else shape
        if self.torch:
            return outputs, inputs, height, width
        if path.endswith("/depthwise"):
            return height, width, outputs, inputs
        return height, width, inputs, outputs

    def array(self, theirs: np.ndarray, shape: Shape) -> np.ndarray:
        """Their tensor, whose shape was checked, as a float32 leaf of `shape`."""
        ours = theirs.transpose(2, 3, 1, 0) if self.torch and theirs.ndim == 4 else theirs
        return np.ascontiguousarray(ours.reshape(shape), np.float32)


_NORM = ("scale", "offset", "mean", "var")
_TORCH_NORM = (".weight", ".bias", ".running_mean", ".running_var")
_KERAS_NORM = ("/gamma", "/beta", "/moving_mean", "/moving_variance")


def _parts(row: Row) -> tuple[str, ...]:
    return ("depthwise", "project") if row.operation == "separable" else _EXPANDED


_EXPANDED = ("expand", "depthwise", "project")


def _keras(table: LayerTable) -> Iterator[Convolution]:
    """keras.applications.MobileNetV2: `Conv1`, `block_5_depthwise_BN`; blocks count from 0."""
    (stem, _), *blocks, (tail, _) = table.named_rows()
    yield Convolution(stem, "Conv1", "bn_Conv1")
    for index, (name, row) in enumerate(blocks):
        prefix = f"block_{index}" if index else "expanded_conv"
        for part in _parts(row):
            yield Convolution(f"{name}/{part}", f"{prefix}_{part}", f"{prefix}_{part}_BN")
    yield Convolution(tail, "Conv_1", "Conv_1_bn")


def _torchvision(table: LayerTable) -> Iterator[Convolution]:
    """torchvision's MobileNetV2: `features.3.conv.1.0.weight`; the last pair is not nested."""
    (stem, _), *blocks, (tail, _) = table.named_rows()
    yield Convolution(stem, "features.0.0", "features.0.1")
    for index, (name, row) in enumerate(blocks, start=1):
        *nested, last = _parts(row)
        prefix = f"features.{index}.conv"
        for i, part in enumerate(nested):
            yield Convolution(f"{name}/{part}", f"{prefix}.{i}.0", f"{prefix}.{i}.1")
        pair = len(nested)
        yield Convolution(f"{name}/{last}", f"{prefix}.{pair}", f"{prefix}.{pair + 1}")
    tail_index = len(blocks) + 1
    yield Convolution(tail, f"features.{tail_index}.0", f"features.{tail_index}.1")


def _timm(table: LayerTable) -> Iterator[Convolution]:
    """timm's EfficientNet class: `blocks.2.0.conv_pwl`; norms count within a block, from 1."""
    kernels = {
        "separable": ("conv_dw", "conv_pw"),
        "inverted_residual": ("conv_pw", "conv_dw", "conv_pwl"),
    }
    (stem, _), *blocks, (tail, _) = table.named_rows()
    yield Convolution(stem, "conv_stem", "bn1")
    stage, position = 0, -1
    for name, row in blocks:
        # A stage opens where the resolution or the width changes.
        if position >= 0 and (row.stride > 1 or row.inputs != row.outputs):
            stage, position = stage + 1, 0
        else:
            position += 1
        prefix = f"blocks.{stage}.{position}"
        for i, (part, kernel) in enumerate(zip(_parts(row), kernels[row.operation], strict=True)):
            yield Convolution(f"{name}/{part}", f"{prefix}.{kernel}", f"{prefix}.bn{i + 1}")
    yield Convolution(tail, "conv_head", "bn2")


def _efficientnet_pytorch(table: LayerTable) -> Iterator[Convolution]:
    """efficientnet-pytorch: `_blocks.4._depthwise_conv`; `_bn0` is the expansion's, if any."""
    (stem, _), *blocks, (tail, _) = table.named_rows()
    yield Convolution(stem, "_conv_stem", "_bn0")
    for index, (name, row) in enumerate(blocks):
        for part in _parts(row):
            prefix = f"_blocks.{index}."
            norm = f"{prefix}_bn{_EXPANDED.index(part)}"
            yield Convolution(f"{name}/{part}", f"{prefix}_{part}_conv", norm)
    yield Convolution(tail, "_conv_head", "_bn1")


NAMINGS = (
    Naming(
        name="Keras",
        convolutions=_keras,
        norm_leaves=_KERAS_NORM,
        head=("predictions/kernel", "predictions/bias"),
        torch=False,
        conventions={"mobilenet_v2": KERAS},
    ),
    Naming(
        name="torchvision",
        convolutions=_torchvision,
        norm_leaves=_TORCH_NORM,
        head=("classifier.1.weight", "classifier.1.bias"),
        torch=True,
        conventions={"mobilenet_v2": TORCH},
    ),
    Naming(
        name="timm",
        convolutions=_timm,
        norm_leaves=_TORCH_NORM,
        head=("classifier.weight", "classifier.bias"),
        torch=True,
        conventions={"mobilenet_v2": TORCH},  # Lite0 exists as trained in either framework
    ),
    Naming(
        name="efficientnet-pytorch",
        convolutions=_efficientnet_pytorch,
        norm_leaves=_TORCH_NORM,
        head=("_fc.weight", "_fc.bias"),
        torch=True,
        conventions={"efficientnet_lite": TENSORFLOW_LITE},
    ),
)
