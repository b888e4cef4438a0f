"""Routes that nothing was learned for: what a search has to beat."""

from collections.abc import Iterator

import numpy as np

from adapters.search.costs import RouteCosts
from adapters.search.space import Space

NEAR = 0.02  # of a target: how far from it a route of equal cost may be
TRIES = 4000


def random_route(space: Space, generator: np.random.Generator) -> np.ndarray:
    """Each option as probable as every other, [D] int32."""
    return generator.integers(0, space.widths).astype(np.int32)


def random_routes(space: Space, seed: int) -> Iterator[np.ndarray]:
    """Routes drawn alike, without end."""
    generator = np.random.default_rng(seed)
    while True:
        yield random_route(space, generator)


def routes_of_equal_cost(
    space: Space,
    costs: RouteCosts,
    anchor: np.ndarray,
    target: float,
    count: int,
    seed: int,
    over: float = NEAR,
) -> np.ndarray:
    """Random routes that cost `target` within 2 %, [count, D] int32: controls of a search.

    Each decision is that of `anchor` with a chance that is drawn anew for every try, so that routes
    of any cost are found. Where no try comes so near, the nearest is taken.

    Args:
      space, costs: of the routes.
      anchor: [D], the dearest route or the cheapest one.
      target: what one should cost.
      count, seed: of what is drawn.
      over: how much more than the target one may cost, as a share of it.
    """
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        chances = generator.random((TRIES, 1))
        keeps = generator.random((TRIES, len(anchor))) < chances
        random = generator.integers(0, space.widths, (TRIES, len(anchor)))
        tried = np.where(keeps, anchor, random).astype(np.int32)
        off = costs.exactly(tried) / target - 1
        far = np.where(off <= over, np.abs(off), np.inf)
        near = np.flatnonzero(far <= NEAR)
        found.append(tried[near[0] if len(near) else np.argmin(far)])
    return np.stack(found)
