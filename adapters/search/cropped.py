"""A route as a network of its own: really smaller arrays, and a table without what is left out."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from adapters.backbones.builder import expected_shapes
from adapters.backbones.rows import Row
from adapters.backbones.table import LayerTable
from adapters.search.blocks import BlockSpace, smaller_row

Arrays = Mapping[str, Mapping[str, np.ndarray]]


def cropped_table(space: BlockSpace, route: np.ndarray, name: str) -> LayerTable:
    """The table of `route` [D], called `name`. Raises SpaceError for a route of another space."""
    return dataclasses.replace(
        space.table, name=name, stages=(), rows=tuple(row for _, row in kept_blocks(space, route))
    )


def kept_blocks(space: BlockSpace, route: np.ndarray) -> list[tuple[str, Row]]:
    """The blocks of `route` [D] that stay, by name, as they stay. Raises SpaceError."""
    space.space.check(route)
    found: list[tuple[str, Row]] = []
    for block, row in space.table.named_rows():
        if block not in space.places:
            found.append((block, row))
            continue
        form = space.form(block, route)
        if not form.skipped:
            found.append((block, smaller_row(space.row(block), form)))
    return found


def cropped(
    space: BlockSpace, route: np.ndarray, weights: Arrays, name: str
) -> tuple[LayerTable, dict[str, dict[str, np.ndarray]]]:
    """`cropped_table`, and of `weights` what it needs.

    Raises SpaceError for a route of another space.
    """
    table = cropped_table(space, route, name)
    olds = [block for block, _ in kept_blocks(space, route)]
    renamed = dict(zip((block for block, _ in table.named_rows()), olds, strict=True))
    shapes = expected_shapes(table)
    found: dict[str, dict[str, np.ndarray]] = {}
    for path, leaves in shapes.items():
        block, slash, inside = path.partition("/")
        whole = weights[renamed.get(block, block) + slash + inside]
        found[path] = {leaf: _part(whole[leaf], shape) for leaf, shape in leaves.items()}
    return table, found


def _part(whole: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The first channels; of a kernel's sides the middle."""
    cut = []
    for axis, (have, want) in enumerate(zip(np.shape(whole), shape, strict=True)):
        sides = len(shape) > 2 and axis < 2
        start = (have - want) // 2 if sides else 0
        cut.append(slice(start, start + want))
    return np.asarray(whole)[tuple(cut)]
