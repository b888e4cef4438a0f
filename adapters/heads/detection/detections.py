"""From a detector's predictions of one image to the boxes that it finds; NumPy, as on devices."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.heads.contract import Arrays
from adapters.heads.detection import suppression
from adapters.heads.detection.boxes import decoded, inside

Array = npt.NDArray[Any]

LOGITS, OFFSETS, ANCHORS = "logits", "offsets", "anchors"
LEAST_SCORE = 1e-3
MOST_OVERLAP = 0.55
MOST = 300  # boxes that are looked at of each class, and that are kept of an image


class Detections(NamedTuple):
    """What is found in one image, the surest first.

    Attributes:
      boxes: [n, 4], left, top, right and bottom in parts of the sides of the network's image.
      scores: [n] from 0 to 1.
      classes: [n].
    """

    boxes: Array
    scores: Array
    classes: Array

    def above(self, score: float) -> "Detections":
        """Those as sure as that, or surer."""
        return Detections(*(values[self.scores >= score] for values in self))


def detections(predictions: Arrays, scores: Array) -> Detections:
    """The boxes that are found in one image, as torchvision's SSD finds them.

    Args:
      predictions: of one image, `offsets` [A, 4] and `anchors` [A, 4] among them.
      scores: [A, classes], from 0 to 1.
    """
    boxes = inside(decoded(np.asarray(predictions[OFFSETS]), np.asarray(predictions[ANCHORS])))
    found: list[tuple[Array, Array]] = []
    for column in scores.T:
        likely = np.flatnonzero(column > LEAST_SCORE)
        order = likely[np.argsort(-column[likely], kind="stable")[:MOST]]
        found.append((order[suppression.kept(boxes[order], column[order], MOST_OVERLAP)], column))
    numbers = np.concatenate([own for own, _ in found])
    sure = np.concatenate([column[own] for own, column in found])
    classes = np.repeat(np.arange(len(found)), [len(own) for own, _ in found])
    best = np.argsort(-sure, kind="stable")[:MOST]
    return Detections(boxes[numbers[best]], sure[best], classes[best])
