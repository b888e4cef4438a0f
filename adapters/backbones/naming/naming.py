"""What a naming is: from our modules to another code base's names, shapes and layouts."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from adapters.backbones.conventions import Conventions
from adapters.backbones.table import LayerTable

Shape = tuple[int, ...]

Kind = Literal["kernel", "biased", "matrix", "norm", "gain"]
"""A convolution without or with a bias, a fully connected layer, a norm, a layer scale."""


class Module(NamedTuple):
    """One of our modules, with its name there and what it holds."""

    path: str
    theirs: str
    kind: Kind


class Place(NamedTuple):
    """A leaf of ours that one of their tensors becomes."""

    path: str
    leaf: str
    kind: Kind


class Naming(NamedTuple):
    """One code base's way to write a family of backbones down.

    Attributes:
      name: what error messages call it.
      tables: what the names of the family's layer tables begin with.
      modules: every module of a table, in order.
      head: their name of the classifier, and how it is kept.
      torch: whether kernels are laid out as PyTorch does, else as Keras does.
      conventions: how such checkpoints are run, or None where names do not tell.
    """

    name: str
    tables: str
    modules: Callable[[LayerTable], Iterator[Module]]
    head: Module
    torch: bool
    conventions: Conventions | None

    def places(self, table: LayerTable) -> dict[str, Place]:
        """Their name of every tensor of the table, the head aside, to ours."""
        return {
            name: place for module in self.modules(table) for name, place in self._leaves(module)
        }

    def head_places(self) -> dict[str, Place]:
        """Their names of the head's `w` and `b`, in this order."""
        return dict(self._leaves(self.head))

    def shape(self, place: Place, shape: Shape) -> Shape:
        """Their shape of the leaf that has `shape` here."""
        if len(shape) == 1:
            return shape
        if place.kind == "matrix":
            return shape[::-1] if self.torch else shape
        height, width, inputs, outputs = (1, 1, *shape) if len(shape) == 2 else shape
        if self.torch:
            return outputs, inputs, height, width
        if place.path.endswith("depthwise"):
            return height, width, outputs, inputs
        return height, width, inputs, outputs

    def array(self, theirs: np.ndarray, shape: Shape) -> np.ndarray:
        """Their tensor, whose shape was checked, as a float32 leaf of `shape`."""
        if self.torch and theirs.ndim == 4:
            theirs = theirs.transpose(2, 3, 1, 0)
        elif self.torch:
            theirs = theirs.T
        return np.ascontiguousarray(theirs.reshape(shape), np.float32)

    def _leaves(self, module: Module) -> Iterator[tuple[str, Place]]:
        for suffix, leaf in (_TORCH if self.torch else _KERAS)[module.kind].items():
            yield module.theirs + suffix, Place(module.path, leaf, module.kind)


_TORCH: dict[Kind, dict[str, str]] = {
    "kernel": {".weight": "w"},
    "biased": {".weight": "w", ".bias": "b"},
    "matrix": {".weight": "w", ".bias": "b"},
    "norm": {
        ".weight": "scale",
        ".bias": "offset",
        ".running_mean": "mean",
        ".running_var": "var",
    },
    "gain": {".gamma": "gain"},
}
_KERAS: dict[Kind, dict[str, str]] = {
    "kernel": {"/kernel": "w"},
    "biased": {"/kernel": "w", "/bias": "b"},
    "matrix": {"/kernel": "w", "/bias": "b"},
    "norm": {
        "/gamma": "scale",
        "/beta": "offset",
        "/moving_mean": "mean",
        "/moving_variance": "var",
    },
}


def convolution(path: str, kernel: str, norm: str) -> Iterator[Module]:
    """A convolution of ours and the norm under it."""
    yield Module(path, kernel, "kernel")
    yield Module(f"{path}/norm", norm, "norm")


def squeeze_excite(path: str, reduce: str, expand: str) -> Iterator[Module]:
    """A block's squeeze-excite, whose layers others write as 1x1 convolutions."""
    yield Module(f"{path}/squeeze_excite/reduce", reduce, "biased")
    yield Module(f"{path}/squeeze_excite/expand", expand, "biased")
