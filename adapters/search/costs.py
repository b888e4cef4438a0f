"""What routes cost, exactly: a table a block, added up."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adapters.analysis.cost import network_cost
from adapters.backbones.builder import build
from adapters.backbones.rows import InvertedResidual
from adapters.search.blocks import BlockSpace, Form, largest


class Costs(NamedTuple):
    """Multiply-adds of the routes of a space.

    Attributes:
      fixed: what no route changes.
      blocks: a table for each block that routes change: [options, options, ...].
      places: the decisions that its axes stand for.
    """

    fixed: int
    blocks: tuple[np.ndarray, ...]
    places: tuple[tuple[int, ...], ...]

    def exact(self, route: np.ndarray) -> int:
        """Of one route [D], to the unit."""
        return int(self.exactly(route))

    def exactly(self, routes: np.ndarray) -> np.ndarray:
        """Of routes [..., D], to the unit: [...]."""
        chosen = [table[tuple(routes[..., place] for place in own)] for table, own in self._tables]
        return self.fixed + np.sum(chosen, axis=0)

    @property
    def _tables(self) -> Iterator[tuple[np.ndarray, tuple[int, ...]]]:
        return zip(self.blocks, self.places, strict=True)

    def of(self, routes: jax.Array) -> jax.Array:
        """Of routes [..., D]: [...] float32; in JAX."""
        total = jnp.full(routes.shape[:-1], self.fixed, jnp.float32)
        for table, places in self._tables:
            index = tuple(routes[..., place] for place in places)
            total = total + jnp.asarray(table, jnp.float32)[index]
        return total


def multiply_adds(space: BlockSpace, size: int) -> Costs:
    """The multiply-adds of every route, for images of `size` pixels a side.

    They count as `adapters.analysis` counts: products of convolutions and matrices.
    """
    blocks, places, side = [], [], size
    for block, row in space.table.named_rows():
        before, side = side, math.ceil(side / row.stride)
        if block not in space.places:
            continue
        assert isinstance(row, InvertedResidual)
        own = tuple(space.places[block].values())
        widths = tuple(int(space.space.widths[place]) for place in own)
        table = np.zeros(widths, np.int64)
        for options in np.ndindex(*widths):
            route = largest(space)
            route[list(own)] = options
            table[options] = _of_form(row, space.form(block, route), before, side)
        blocks.append(table)
        places.append(own)
    found = Costs(0, tuple(blocks), tuple(places))
    whole = network_cost(build(space.table), size).multiply_adds
    return found._replace(fixed=whole - found.exact(largest(space)))


def _of_form(row: InvertedResidual, form: Form, before: int, after: int) -> int:
    if form.skipped:
        return 0
    inside = form.expanded
    expand = before**2 * row.inputs * inside if row.expands else 0
    depthwise = after**2 * form.kernel**2 * inside
    squeeze = 2 * inside * row.squeezed if form.squeezes else 0
    return expand + depthwise + squeeze + after**2 * inside * row.outputs
