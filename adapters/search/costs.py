"""What routes cost: a table a block, added up; and several costs at once."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from adapters.analysis.cost import network_cost, row_cost
from adapters.analysis.roofline import Machine
from adapters.backbones.builder import build
from adapters.backbones.rows import Row, SpaceToDepth
from adapters.backbones.table import LayerTable
from adapters.search.blocks import BlockSpace, forms, largest
from adapters.search.rewards import over_devices

Price = Callable[[Row, int], float]
"""(a row, the side of the map that it takes) -> what it costs."""


class RouteCosts(Protocol):
    """What each route of a space costs, in one unit."""

    def exact(self, route: np.ndarray) -> float:
        """Of one route [D]."""

    def exactly(self, routes: np.ndarray) -> np.ndarray:
        """Of routes [..., D]: [...]."""

    def of(self, routes: jax.Array) -> jax.Array:
        """Of routes [..., D]: [...] float32; in JAX."""


class Costs(NamedTuple):
    """Costs that add up over blocks: multiply-adds, seconds or bytes.

    Whole numbers stay whole, so that these are exact to the unit.

    Attributes:
      fixed: what no route changes.
      blocks: a table for each block that routes change: [options, options, ...].
      places: the decisions that its axes stand for.
    """

    fixed: float
    blocks: tuple[np.ndarray, ...]
    places: tuple[tuple[int, ...], ...]

    def exact(self, route: np.ndarray) -> float:
        """Of one route [D]."""
        return self.exactly(route).item()

    def exactly(self, routes: np.ndarray) -> np.ndarray:
        """Of routes [..., D]: [...]."""
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


class OverDevices(NamedTuple):
    """Costs on several devices as one: each over that of one network there, and then a summary.

    So no device's clock matters, and that network costs 1 (`rewards.over_devices`).

    Attributes:
      devices: what routes cost on each.
      whole: what that network costs on each, [devices].
      summary: one of `rewards.SUMMARIES`.
    """

    devices: tuple[Costs, ...]
    whole: np.ndarray
    summary: str

    def exact(self, route: np.ndarray) -> float:
        """Of one route [D]."""
        return self.exactly(route).item()

    def exactly(self, routes: np.ndarray) -> np.ndarray:
        """Of routes [..., D]: [...]."""
        return self._over(np.stack([each.exactly(routes) for each in self.devices], -1), self.whole)

    def of(self, routes: jax.Array) -> jax.Array:
        """Of routes [..., D]: [...] float32; in JAX."""
        costs = jnp.stack([each.of(routes) for each in self.devices], -1)
        whole = jnp.asarray(self.whole, jnp.float32).reshape((1,) * (routes.ndim - 1) + (-1,))
        return self._over(costs, whole)

    def _over(self, costs: Any, whole: Any) -> Any:
        return over_devices(costs, whole, self.summary)


def multiply_adds(space: BlockSpace, size: int) -> Costs:
    """The multiply-adds of every route, for images of `size` pixels a side, to the unit.

    They count as `adapters.analysis` counts: products of convolutions and matrices.
    """
    whole = network_cost(build(space.table), size).multiply_adds
    return _completed(space, _of_blocks(space, size, _multiply_adds), whole)


def roofline(space: BlockSpace, size: int, machine: Machine, bytes_per_value: int = 4) -> Costs:
    """The seconds of every route on the roofline of `machine`, for one image.

    Each layer takes as long as its products or its bytes, the longer counts (`analysis.roofline`).

    Args:
      space: of the routes.
      size: of the images, in pixels.
      machine: declared, not measured.
      bytes_per_value: of weights and activations: 4, 2 or 1.

    Raises CostSettingError for other bytes.
    """
    whole = network_cost(build(space.table), size, 0, bytes_per_value).seconds(machine)

    def seconds(row: Row, side: int) -> float:
        return row_cost(row, side, bytes_per_value).seconds(machine)

    return _completed(space, _of_blocks(space, size, seconds), whole)


def priced(space: BlockSpace, size: int, price: Price) -> Costs:
    """Costs of every route that are its rows' prices, added up."""
    sides = map_sides(space.table, size)
    fixed = sum(
        price(row, sides[block])
        for block, row in space.table.named_rows()
        if block not in space.places
    )
    return _of_blocks(space, size, price)._replace(fixed=fixed)


def over(devices: tuple[Costs, ...], space: BlockSpace, summary: str) -> OverDevices:
    """`OverDevices`, of which the largest network costs 1.

    Raises UnknownNameError for a summary that is none of `rewards.SUMMARIES`.
    """
    whole = np.array([each.exact(largest(space)) for each in devices])
    found = OverDevices(devices, whole, summary)
    found.exact(largest(space))
    return found


def rows_left(space: BlockSpace, size: int) -> dict[tuple[Row, int], None]:
    """Every row that a route may have, with the side of the map that it takes; each once."""
    found: dict[tuple[Row, int], None] = {}

    def note(row: Row, side: int) -> float:
        found[row, side] = None
        return 0.0

    priced(space, size, note)
    return found


def map_sides(table: LayerTable, size: int) -> dict[str, int]:
    """{block: the side of the map that it takes}, for images of `size` pixels."""
    found, side = {}, size
    for block, row in table.named_rows():
        found[block] = side
        resized = row.resolution if isinstance(row, SpaceToDepth) else 0
        side = resized or math.ceil(side / row.stride)
    return found


def _of_blocks(space: BlockSpace, size: int, price: Price) -> Costs:
    """Of the blocks that routes change alone."""
    sides, tables, places = map_sides(space.table, size), [], []
    for block, own in space.places.items():
        left = [row for _, row in forms(space, block)]
        prices = [0 if row is None else price(row, sides[block]) for row in left]
        places.append(tuple(own.values()))
        tables.append(np.array(prices).reshape(space.space.widths[list(places[-1])]))
    return Costs(0, tuple(tables), tuple(places))


def _completed(space: BlockSpace, blocks: Costs, whole: float) -> Costs:
    """With the rest of a network whose largest costs `whole`."""
    return blocks._replace(fixed=whole - blocks.exact(largest(space)))


def _multiply_adds(row: Row, side: int) -> int:
    """Of a block whose layers run one after the other, told without tracing it."""
    total = 0
    for part in row.parts:
        side = math.ceil(side / part.stride)
        match part.kind:
            case "depthwise":
                total += side**2 * part.kernel**2 * part.outputs
            case "pointwise":
                total += side**2 * part.inputs * part.outputs
            case "dense":
                total += part.inputs * part.outputs
    return total
