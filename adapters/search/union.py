"""What several routes share: the smallest network that holds them all, and pressure towards it.

Wang et al. (WACV 2021) say of their multi-path network how much it shares, not what made it: that
the size of the union is taken from every route's reward is our reconstruction.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from adapters.backbones.builder import count_parameters
from adapters.backbones.rows import Row
from adapters.backbones.table import LayerTable
from adapters.search.blocks import BlockSpace, largest
from adapters.search.costs import Costs, priced


def union(space: BlockSpace, routes: Sequence[np.ndarray]) -> np.ndarray:
    """The route [D] of what any of `routes` keeps; two that keep a node share its weights.

    What a route leaves undecided, inside a block that it skips, asks for nothing.
    """
    return np.asarray(union_of(space, jnp.asarray(np.stack(routes))))


def union_of(space: BlockSpace, routes: jax.Array) -> jax.Array:
    """`union` of routes [T, D], in JAX."""
    asked = space.space.active(routes)
    kept = jnp.where(asked, routes, 0).max(axis=0)
    skips = np.zeros(len(space.space), bool)
    skips[[own["skip"] for own in space.places.values() if "skip" in own]] = True
    return jnp.where(skips, routes.min(axis=0), kept).astype(jnp.int32)


def parameters(space: BlockSpace) -> Costs:
    """How many parameters each route has, whatever the size of images."""
    return priced(space, 0, _parameters)


def pressure(space: BlockSpace, weight: float) -> Callable[[jax.Array], jax.Array]:
    """What routes [T, D] are charged together: `weight` times the share of all parameters they use.

    Every task is charged alike, so that each is worth more where others go already.
    """
    sizes = parameters(space)
    whole = sizes.exact(largest(space))
    return lambda routes: weight * sizes.of(union_of(space, routes)) / whole


def _parameters(row: Row, side: int) -> int:
    del side
    return count_parameters(LayerTable("row", (row,)))
