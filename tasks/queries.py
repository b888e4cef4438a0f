"""Tasks whose examples are asked for a part of their objects: "warning", or "left warning".

After Fornoni et al., "Query-Modulated Detectors", arXiv 2106.10258, which makes queries out of
ordinary boxes; it publishes no shares, and those here are our reconstruction. Each training view is
asked anew, once it is cut and mirrored, so that left is what the network sees on the left:

  nothing (40 %): all objects are its targets, as without queries;
  a class that is there (45 %), or, half of the time where that can be said, its leftmost,
    rightmost, largest or smallest object, if it is so by a tenth of the width, or by 1.3 times;
  a class of the task that is not there (15 %): no object is.

Classes are drawn evenly, not as often as they have objects. An image that shows every class cannot
be asked for one that is not there, nor one without objects for one that is: it is asked nothing.
A class whose objects are not all annotated must not be asked for: what is missing would be taught
as absent.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.words import NOTHING, Words, numbers
from tasks import objects
from tasks.of_another import OfAnother
from tasks.task import Task, TaskError

QUERY = "query"
RELATIONS = ("left", "right", "largest", "smallest")
ROUNDED = (
    16  # numbers of a query: a multiple of it, so that tasks of several classes train together
)
PRESENT, ABSENT = 0.45, 0.15
RELATED = 0.5
MARGIN, FACTOR = 0.1, 1.3
_TARGET = "objects"


def queried(task: Task, name: str | None = None) -> Task:
    """`task`, of a head that finds objects, with the input `query`; by default NAME_by_query.

    Without a query it is the same task: what it is scored on asks nothing.

    Raises TaskError for a head of another kind.

    >>> from tasks import registry
    >>> asked = queried(registry.registered("sign_scenes"))
    >>> asked.name, asked.inputs, asked.words["query"]["left warning"]
    ('sign_scenes_by_query', {'query': (16,)}, (4, 5))
    """
    if set(task.made_head.targets) != {_TARGET}:
        raise TaskError(f"task {task.name!r} finds no objects: there is nothing to ask for.")
    words, size = texts(task.labels)
    return dataclasses.replace(
        task,
        name=name or f"{task.name}_by_query",
        source=OfAnother(task),
        inputs={**task.inputs, QUERY: (size,)},
        words={**task.words, QUERY: words},
        ask=Questions(task.labels),
    )


def texts(labels: tuple[str, ...]) -> tuple[Words, int]:
    """All queries of a task with these labels, and how many numbers one has.

    One number is of no query, one of each label, and one of each of `RELATIONS`.
    """
    first = 1 + len(labels)
    words = {NOTHING: (0,)} | {label: (1 + place,) for place, label in enumerate(labels)}
    related = {
        f"{relation} {label}": (1 + place, first + number)
        for number, relation in enumerate(RELATIONS)
        for place, label in enumerate(labels)
    }
    return {**related, **words}, -(-(first + len(RELATIONS)) // ROUNDED) * ROUNDED


def only(relation: str, boxes: npt.NDArray[Any]) -> int | None:
    """Which of several boxes [n, 4] is the one that is so, clearly; None if there is none such.

    Boxes are left, top, right and bottom in parts of the image's sides; alone, a box is not more to
    the left than another.
    """
    if len(boxes) < 2:
        return None
    centres = (boxes[:, 0] + boxes[:, 2]) / 2
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    values, gap = {
        "left": (centres, MARGIN),
        "right": (-centres, MARGIN),
        "largest": (-np.log(areas), np.log(FACTOR)),
        "smallest": (np.log(areas), np.log(FACTOR)),
    }[relation]
    first, second = np.argsort(values)[:2]
    return int(first) if values[second] - values[first] >= gap else None


@dataclasses.dataclass(frozen=True)
class Questions:
    """Draws what a view is asked: see above."""

    labels: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """What is drawn."""
        return (QUERY,)

    def __call__(
        self, known: Mapping[str, npt.NDArray[Any]], generator: np.random.Generator
    ) -> dict[str, npt.NDArray[Any]]:
        """A query, and the objects [MOST_OBJECTS, 5] that it asks for."""
        shown = known[_TARGET][known[_TARGET][:, 4] >= 0]
        query, wanted = self._drawn(shown, generator)
        words, size = texts(self.labels)
        return {QUERY: numbers(QUERY, query, words, size), _TARGET: objects.filled(shown[wanted])}

    def _drawn(
        self, shown: npt.NDArray[Any], generator: np.random.Generator
    ) -> tuple[str, npt.NDArray[np.intp]]:
        """The text of a query, and which objects it asks for."""
        there = sorted({int(label) for label in shown[:, 4]})
        elsewhere = sorted(set(range(len(self.labels))) - set(there))
        kind = generator.random()
        if kind < PRESENT and there:
            label = there[generator.integers(len(there))]
            own = np.flatnonzero(shown[:, 4] == label)
            found = ((each, only(each, shown[own, :4])) for each in RELATIONS)
            clear = [(each, place) for each, place in found if place is not None]
            if clear and generator.random() < RELATED:
                relation, place = clear[generator.integers(len(clear))]
                return f"{relation} {self.labels[label]}", own[[place]]
            return self.labels[label], own
        if PRESENT <= kind < PRESENT + ABSENT and elsewhere:
            label = elsewhere[generator.integers(len(elsewhere))]
            return self.labels[label], np.flatnonzero(shown[:, 4] < 0)
        return NOTHING, np.arange(len(shown))
