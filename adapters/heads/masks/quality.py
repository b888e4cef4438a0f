"""Panoptic quality, of one class after the other.

Kirillov et al., "Panoptic Segmentation", arXiv 1801.00868, section 4: a segment is found where one
of its class covers it to more than half, by intersection over union; PQ = SQ x RQ, how well
segments that are found are covered, and how many are found.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.heads.contract import MOST_OF_CLASS

Array = npt.NDArray[Any]

HALF = 0.5


class Quality(NamedTuple):
    """Means over the classes that any segment has, or was taken for.

    Attributes:
      panoptic: PQ.
      segmentation: SQ, 0 of a class of which nothing is found.
      recognition: RQ.
    """

    panoptic: float
    segmentation: float
    recognition: float


def counted(truth: Array, numbers: Array, classes: Array, outputs: int) -> npt.NDArray[np.float64]:
    """Of each class: the sum of overlaps of those found, how many are found, invented, missed.

    Pixels that do not count are of no segment, and what lies on them to more than half is not
    invented.

    Args:
      truth: the segment of each pixel, [H, W], see `Target`; -1 where it does not count.
      numbers: of the segments that are found, [H, W]; -1 where there is none.
      classes: of the segments that are found, [n].
      outputs: how many classes there are.

    Returns: [outputs, 4].
    """
    found = np.zeros((outputs, 4))
    known = truth >= 0
    whole = np.bincount(numbers[numbers >= 0], minlength=len(classes))
    areas = np.bincount(numbers[(numbers >= 0) & known], minlength=len(classes))
    invented = (whole > 0) & (whole - areas <= HALF * whole)
    for segment in np.unique(truth[known]):
        label, mask = int(segment) // MOST_OF_CLASS, truth == segment
        shared = np.bincount(numbers[mask & (numbers >= 0)], minlength=len(classes))
        overlap = np.where(classes == label, shared / (mask.sum() + areas - shared), 0.0)
        best = overlap.max(initial=0.0)
        if best > HALF:
            invented[overlap.argmax()] = False
            found[label] += (best, 1, 0, 0)
        else:
            found[label, 3] += 1
    np.add.at(found[:, 2], classes[invented], 1)
    return found


def quality(counts: npt.NDArray[np.float64]) -> Quality:
    """Of the sums of `counted`, or of some rows of them. Zeros where no class has a segment."""
    overlaps, right, invented, missed = counts[counts[:, 1:].any(axis=1)].T
    if not overlaps.size:
        return Quality(0.0, 0.0, 0.0)
    covered = overlaps / np.maximum(right, 1)
    recognised = right / (right + invented / 2 + missed / 2)
    means = ((covered * recognised).mean(), covered.mean(), recognised.mean())
    return Quality(*map(float, means))
