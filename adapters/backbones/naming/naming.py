"""What a naming is: from our modules to another code base's names, shapes and layouts."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from adapters.backbones.conventions import Conventions
from adapters.backbones.naming.style import Kind, Style
from adapters.backbones.sites import sites
from adapters.backbones.table import LayerTable
from adapters.modules import norm_of

Shape = tuple[int, ...]


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
      modules: every module of a table, in order; a depthwise kernel as any other `kernel`.
      head: their name of the classifier, and how it is kept.
      style: the framework's way to name and lay out what a module holds.
      conventions: how such checkpoints are run, or None where names do not tell.
      scope: what the names of the network's tensors begin with; others in a file are not its own.
      background: whether class 0 of a head of 1001 classes is "background".
    """

    name: str
    tables: str
    modules: Callable[[LayerTable], Iterator[Module]]
    head: Module
    style: Style
    conventions: Conventions | None
    scope: str = ""
    background: bool = False

    def places(self, table: LayerTable) -> dict[str, Place]:
        """Their name of every tensor of the table, the head aside, to ours."""
        depthwise = {site.path for site in sites(table) if site.kind == "depthwise"}
        return {
            name: place
            for module in self.modules(table)
            for name, place in self._leaves(
                module._replace(kind="depthwise") if module.path in depthwise else module
            )
        }

    def names_all(self, table: LayerTable) -> bool:
        """Whether a table of the family is named whole: not every code base has every neck."""
        named = {place.path for place in self.places(table).values()}
        return named == {site.path for site in sites(table)}

    def head_places(self) -> dict[str, Place]:
        """Their names of the head's `w` and `b`, in this order."""
        return dict(self._leaves(self.head))

    def shape(self, place: Place, shape: Shape) -> Shape:
        """Their shape of the leaf that has `shape` here."""
        if len(shape) == 1:
            return shape
        if place.kind == "matrix":
            return shape[::-1] if self.style.outputs_first else shape
        height, width, inputs, outputs = (1, 1, *shape) if len(shape) == 2 else shape
        if self.style.outputs_first:
            return outputs, inputs, height, width
        if place.kind == "depthwise":
            return height, width, outputs, inputs
        return height, width, inputs, outputs

    def array(self, theirs: np.ndarray, shape: Shape) -> np.ndarray:
        """Their tensor, whose shape was checked, as a float32 leaf of `shape`."""
        if self.style.outputs_first:
            theirs = theirs.transpose(2, 3, 1, 0) if theirs.ndim == 4 else theirs.T
        return np.ascontiguousarray(theirs.reshape(shape), np.float32)

    def _leaves(self, module: Module) -> Iterator[tuple[str, Place]]:
        for suffix, leaf in self.style.leaves[module.kind].items():
            yield module.theirs + suffix, Place(module.path, leaf, module.kind)


def convolution(path: str, kernel: str, norm: str) -> Iterator[Module]:
    """A convolution of ours, of any kind, and the norm under it."""
    yield Module(path, kernel, "kernel")
    yield Module(norm_of(path), norm, "norm")


def squeeze_excite(path: str, reduce: str, expand: str) -> Iterator[Module]:
    """A block's squeeze-excite, whose layers others write as 1x1 convolutions."""
    yield Module(f"{path}/squeeze_excite/reduce", reduce, "biased")
    yield Module(f"{path}/squeeze_excite/expand", expand, "biased")
