"""Checkpoints as other code bases would publish them: their names and layouts, our formula."""

import functools
from collections.abc import Mapping

import numpy as np

from adapters.backbones.builder import expected_shapes
from adapters.backbones.naming.known import NAMINGS
from adapters.backbones.naming.naming import Naming
from adapters.backbones.registry import table
from tests.golden import closed_formula


def naming(name: str, table_name: str) -> Naming:
    return next(n for n in NAMINGS if n.name == name and table_name.startswith(n.tables))


def shapes(naming_name: str, table_name: str, classes: int = 1000) -> dict[str, tuple[int, ...]]:
    """Every tensor's name and shape on their side, their head last."""
    theirs, rows = naming(naming_name, table_name), table(table_name)
    ours = _our_shapes(table_name) | {
        "head": {"w": (rows.features, classes), "b": (classes,)},
    }
    places = theirs.places(rows) | theirs.head_places()
    return {
        name: theirs.shape(place, ours[place.path][place.leaf]) for name, place in places.items()
    }


@functools.cache
def _our_shapes(table_name: str) -> dict[str, Mapping[str, tuple[int, ...]]]:
    return dict(expected_shapes(table(table_name)))


def tensors(naming_name: str, table_name: str, classes: int = 1000) -> dict[str, np.ndarray]:
    """The checkpoint itself."""
    wanted = shapes(naming_name, table_name, classes)
    return {name: closed_formula.tensor(name, shape) for name, shape in wanted.items()}
