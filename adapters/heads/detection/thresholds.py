"""How sure a box has to be to be an answer: what finds most and invents least."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.heads.detection.boxes import overlaps
from adapters.heads.detection.detections import Detections

Array = npt.NDArray[Any]

LEAST_OVERLAP = 0.5


def best_threshold(truths: Sequence[Array], found: Sequence[Detections]) -> float | None:
    """The score from which boxes have the best F1, all classes together; None where none is right.

    Args:
      truths: of each image, [objects, 5]: left, top, right, bottom, class.
      found: of each image.
    """
    hits = np.concatenate([_hits(*pair) for pair in zip(truths, found, strict=True)])
    scores = np.concatenate([one.scores for one in found])
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(hits[order])
    if not right.size or not right[-1]:
        return None
    f1 = 2 * right / (np.arange(1, len(right) + 1) + sum(map(len, truths)))
    best = int(f1.argmax())
    # Below the last that is taken, far enough that rounding elsewhere does not lose it.
    return float(np.floor(1e4 * scores[order][best]) / 1e4)


def _hits(truth: Array, found: Detections) -> Array:
    """Which boxes find an object that no surer one has found: [n] bool."""
    free = np.ones(len(truth), bool)
    hits = np.zeros(len(found.scores), bool)
    for number, (box, label) in enumerate(zip(found.boxes, found.classes, strict=True)):
        wanted = free & (truth[:, 4] == label)
        if not wanted.any():
            continue
        shared = np.where(wanted, overlaps(box[None], truth[:, :4])[0], -1.0)
        best = int(shared.argmax())
        hits[number] = shared[best] >= LEAST_OVERLAP
        free[best] &= not hits[number]
    return hits
