"""Batches of a search: training images that train, and others that say how good a route is."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from adapters.training.reading import Batches

PARTS = 4  # of the training images, one is held out to score routes on


def halved(parts: Callable[[int], list[Batches]]) -> list[Batches]:
    """Of each task, `TrainedAndHeld`; `parts` gives the tasks' batches of one of `PARTS` parts."""
    held, *train = (parts(part) for part in range(PARTS))
    return [TrainedAndHeld(own, beside) for *own, beside in zip(*train, held, strict=True)]


class TrainedAndHeld:
    """Batches whose first half trains and whose second half, other images, never does.

    Args:
      train: batches of parts of the training images, taken in turn.
      held: of another part.
    """

    def __init__(self, train: Sequence[Batches], held: Batches):
        self._train, self._held = list(train), held

    def __getitem__(self, number: int) -> Mapping[str, np.ndarray]:
        turn, part = divmod(number, len(self._train))
        first, second = self._train[part][turn], self._held[number]
        return {name: np.concatenate([first[name], second[name]]) for name in first}
