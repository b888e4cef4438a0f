"""What a file holds beside a backbone: a classifier, another one in its place, or strangers."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from adapters.backbones.naming.naming import Naming
from adapters.backbones.stored import Tensor
from adapters.backbones.table import LayerTable

_LIMIT = 1 << 24  # values: 13,107 classes on 1280 features


class Classifier(NamedTuple):
    """How the tensors beside a backbone's own are to be taken.

    Attributes:
      shapes: the expected ones of the head's tensors, where it is one matrix on the features.
      classes: of that head.
      aside: names of tensors that are no such head, and belong to nothing of the backbone: another
        classifier in its place, of several layers say. They may be left aside.
      strangers: names of all others. They lie among the backbone's own, which it therefore is not.
    """

    shapes: Mapping[str, tuple[int, ...]]
    classes: int
    aside: Sequence[str]
    strangers: Sequence[str]


def classifier(rest: Mapping[str, Tensor], naming: Naming, table: LayerTable) -> Classifier:
    """Sorts the tensors of a network that are not its backbone's, by their names in `naming`."""
    places = naming.head_places()
    kernel, bias = places
    head = naming.head.theirs
    modules = {module.theirs for module in naming.modules(table)}
    families = {_family(module, naming) for module in modules}
    # Layers that replaced the head stand where it stood: `classifier.4` for `classifier.1`.
    parent = head[: max(head.rfind("."), head.rfind("/")) + 1]
    stead = {n for n in rest if n.startswith(_within(head)) or (parent and n.startswith(parent))}
    inside = tuple(start for module in modules for start in _within(module))
    others = {
        name
        for name in rest
        if name.startswith(inside) or (name not in stead and _family(name, naming) in families)
    }
    classes = math.prod(rest[bias].shape) if bias in rest else 0
    shapes = {kernel: naming.shape(places[kernel], (table.features, classes)), bias: (classes,)}
    fits = classes * table.features <= _LIMIT and all(
        name in rest and tuple(rest[name].shape) == shape and rest[name].dtype.kind == "f"
        for name, shape in shapes.items()
    )
    if fits and stead == shapes.keys():
        aside = [name for name in rest if name not in others and name not in shapes]
        return Classifier(shapes, classes, aside, sorted(others))
    return Classifier({}, 0, [name for name in rest if name not in others], sorted(others))


def _within(module: str) -> tuple[str, str]:
    """What the names of tensors in a module begin with."""
    return f"{module}.", f"{module}/"


def _family(name: str, naming: Naming) -> str:
    """The first word of a name: `block` of `block_3_expand/kernel`, `bn` of `bn1.weight`."""
    return re.split("[./_0-9]", name.removeprefix(naming.scope).lstrip("_"), maxsplit=1)[0]
