"""Routes that nothing was learned for: what a search has to beat."""

from collections.abc import Iterator

import numpy as np

from adapters.search.blocks import BlockSpace, largest
from adapters.search.costs import Costs
from adapters.search.space import Space

NEAR = 0.02  # of a target: how far from it a route of equal cost may be
TRIES = 10_000


def random_route(space: Space, generator: np.random.Generator) -> np.ndarray:
    """Each option as probable as every other, [D] int32."""
    return generator.integers(0, space.widths).astype(np.int32)


def random_routes(space: Space, seed: int) -> Iterator[np.ndarray]:
    """Routes drawn alike, without end."""
    generator = np.random.default_rng(seed)
    while True:
        yield random_route(space, generator)


def routes_of_equal_cost(
    space: BlockSpace, costs: Costs, target: float, count: int, seed: int
) -> np.ndarray:
    """Random routes that cost `target` within 2 %, [count, D] int32: controls of a search.

    Each decision is the largest one's with a chance that is drawn anew for every try, so that dear
    routes are found as well as cheap ones. Where no try comes so near, the nearest is taken.
    """
    generator = np.random.default_rng(seed)
    whole = largest(space)
    found = []
    for _ in range(count):
        nearest, far = whole, np.inf
        for _ in range(TRIES):
            keeps = generator.random(len(whole)) < generator.random()
            tried = np.where(keeps, whole, random_route(space.space, generator))
            off = abs(costs.exact(tried) / target - 1)
            if off < far:
                nearest, far = tried.astype(np.int32), off
            if off <= NEAR:
                break
        found.append(nearest)
    return np.stack(found)
