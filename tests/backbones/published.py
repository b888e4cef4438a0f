"""Checkpoints as other code bases would publish them: their names and layouts, our formula."""

import functools

import numpy as np

from adapters.backbones.builder import Shapes, expected_shapes
from adapters.backbones.naming import NAMINGS, Naming
from adapters.backbones.registry import table
from tests.golden import closed_formula


def naming(name: str) -> Naming:
    return next(naming for naming in NAMINGS if naming.name == name)


def shapes(naming_name: str, table_name: str, classes: int = 1000) -> dict[str, tuple[int, ...]]:
    """Every tensor's name and shape on their side, their head last."""
    theirs, rows, ours = naming(naming_name), table(table_name), _our_shapes(table_name)
    found = {
        name: theirs.shape(path, ours[path][leaf])
        for name, (path, leaf) in theirs.places(rows).items()
    }
    kernel, bias = theirs.head
    kernel_shape = (rows.features, classes)
    return found | {kernel: kernel_shape[::-1] if theirs.torch else kernel_shape, bias: (classes,)}


@functools.cache
def _our_shapes(table_name: str) -> Shapes:
    return expected_shapes(table(table_name))


def tensors(naming_name: str, table_name: str, classes: int = 1000) -> dict[str, np.ndarray]:
    """The checkpoint itself."""
    wanted = shapes(naming_name, table_name, classes)
    return {name: closed_formula.tensor(name, shape) for name, shape in wanted.items()}
