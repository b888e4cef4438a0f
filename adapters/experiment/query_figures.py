"""How well a detector finds what it is asked for: figures of answers about one class of an image.

The question is always the same: where are the objects of this class? Whoever follows queries is
asked it; of whoever does not, the boxes of other classes are dropped. Every figure goes over all
thresholds in the same way. Definitions are ours.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.heads.contract import Boxes
from adapters.heads.detection.average_precision import AveragePrecision, average_precision
from adapters.heads.detection.boxes import areas, overlaps
from adapters.heads.detection.detections import Detections

Array = npt.NDArray[Any]

FOUND = 0.5  # intersection over union from which on an object is found
RECALL = 0.9
FALSE_ALARMS = 0.1
THIRDS = ("smallest", "middle", "largest")


class About(NamedTuple):
    """What is found of one class in one image.

    Attributes:
      label: the class's number.
      truth: [n, 4], the boxes of all its objects; none where it is absent.
      boxes: [m, 4], what is found, the surest first.
      scores: [m], how sure each is.
    """

    label: int
    truth: Array
    boxes: Array
    scores: Array


def about(label: int, objects: Array, found: Boxes) -> About:
    """Of all that is found, what is of this class; `objects` [n, 5] are those of the image."""
    own = found.classes == label
    truth = objects[objects[:, 4] == label, :4]
    return About(label, truth, found.boxes[own], found.scores[own])


def precision(answers: Sequence[About], classes: int) -> AveragePrecision:
    """Average precision over images that show the class they are asked for."""
    shown = [one for one in answers if len(one.truth)]
    return average_precision(
        [np.column_stack([one.truth, np.full(len(one.truth), one.label)]) for one in shown],
        [Detections(one.boxes, one.scores, np.full(len(one.scores), one.label)) for one in shown],
        classes,
    )


def sureness(answers: Sequence[About]) -> Array:
    """Of every object that is asked for, the score of the surest box around it; 0 without one."""
    found = [np.zeros(0)]
    for one in answers:
        if len(one.truth):
            right = overlaps(one.truth, one.boxes.reshape(-1, 4)) >= FOUND
            found.append(np.max(np.where(right, one.scores, 0.0), axis=1, initial=0.0))
    return np.concatenate(found)


def sizes(answers: Sequence[About]) -> Array:
    """Of every object that is asked for, the part of the image that it covers."""
    return np.concatenate([np.zeros(0), *(areas(one.truth) for one in answers)])


def alarms(answers: Sequence[About]) -> Array:
    """Of every absent class that is asked for, the score of the surest box; 0 without one."""
    return np.array([one.scores.max(initial=0.0) for one in answers if not len(one.truth)])


def reachable(answers: Sequence[About]) -> float:
    """The share of objects that are found at the lowest threshold, `RECALL` at most."""
    return min(RECALL, float(np.mean(sureness(answers) > 0)))


def false_alarms(answers: Sequence[About], recall: float) -> float:
    """The share of absent classes with a box, at the threshold that finds `recall` of objects."""
    sure = np.sort(sureness(answers))[::-1]
    least = sure[max(1, int(np.ceil(recall * len(sure)))) - 1]
    return float(np.mean((alarms(answers) >= least) & (alarms(answers) > 0)))


def recall_by_size(answers: Sequence[About]) -> dict[str, float]:
    """The share of objects that are found, of each third by size, smallest first.

    At the threshold where `FALSE_ALARMS` of absent classes have a box.
    """
    sure, order = sureness(answers), np.argsort(sizes(answers), kind="stable")
    heard = np.sort(alarms(answers))[::-1]
    most = heard[int(FALSE_ALARMS * len(heard))]  # that many are surer
    return {
        third: float(np.mean(sure[own] > most))
        for third, own in zip(THIRDS, np.array_split(order, len(THIRDS)), strict=True)
    }


def surest_right(answers: Sequence[tuple[Array, About]]) -> float:
    """How often the surest box lies around the one object [4] that is asked for."""
    return float(
        np.mean(
            [
                len(one.boxes) > 0 and overlaps(wanted[None], one.boxes[:1])[0, 0] >= FOUND
                for wanted, one in answers
            ]
        )
    )
