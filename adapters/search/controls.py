"""Searches that learn nothing of decisions: what a controller has to beat."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from adapters.search.space import Space


class Tried(NamedTuple):
    """A route [D] int32, and what it was worth."""

    route: np.ndarray
    reward: float


def random_route(space: Space, generator: np.random.Generator) -> np.ndarray:
    """Each option as probable as every other, [D] int32."""
    return generator.integers(0, space.widths).astype(np.int32)


def random_routes(space: Space, seed: int) -> Iterator[np.ndarray]:
    """Routes drawn alike, without end."""
    generator = np.random.default_rng(seed)
    while True:
        yield random_route(space, generator)


class Evolution:
    """Regularised evolution: the best of a few is changed in one decision, the oldest dies.

    Real, Aggarwal, Huang, Le, "Regularized Evolution for Image Classifier Architecture Search",
    arXiv 1802.01548, algorithm 1, with their sizes halved: 50 live, and 10 are asked.

    Ask for a route with `propose`, say what it was worth with `tell`.
    """

    def __init__(self, space: Space, seed: int, population: int = 50, asked: int = 10):
        self._space, self._population, self._asked = space, population, asked
        self._generator = np.random.default_rng(seed)
        self._alive: list[Tried] = []

    def propose(self) -> np.ndarray:
        """A route to try, [D] int32."""
        if len(self._alive) < self._population:
            return random_route(self._space, self._generator)
        few = self._generator.choice(len(self._alive), self._asked, replace=False)
        parent = max((self._alive[number] for number in few), key=lambda tried: tried.reward)
        child, place = parent.route.copy(), self._generator.integers(len(self._space.widths))
        others = np.delete(np.arange(self._space.widths[place]), child[place])
        child[place] = self._generator.choice(others)
        return child

    def tell(self, route: np.ndarray, reward: float) -> None:
        """Keeps what was tried; the oldest of too many dies."""
        self._alive.append(Tried(route, reward))
        del self._alive[: -self._population]
