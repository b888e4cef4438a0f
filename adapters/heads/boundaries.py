"""Boundary IoU: intersection over union of what lies near the outlines of masks alone.

Cheng, Girshick, Dollár, Berg, Kirillov, "Boundary IoU: Improving Object-Centric Image Segmentation
Evaluation", arXiv 2103.16562, equation 5: of each mask the pixels count that are no further from
its outline than 2 % of the image's diagonal. The image's edge is an outline too, as in the authors'
code.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

REACH = 0.02  # of the diagonal

Mask = npt.NDArray[np.bool_]


def near_outline(mask: Mask) -> Mask:
    """Of a mask [H, W], its own pixels that lie near its outline.

    >>> near_outline(np.ones((3, 4), bool)).astype(int)
    array([[1, 1, 1, 1],
           [1, 0, 0, 1],
           [1, 1, 1, 1]])
    """
    reach = max(1, round(REACH * math.hypot(*mask.shape)))
    return mask & ~_shrunk(_shrunk(mask, reach).T, reach).T


def boundary_counts(
    truth: npt.NDArray[Any], guess: npt.NDArray[Any], known: Mask, classes: int
) -> npt.NDArray[np.int64]:
    """Pixels near both and near either outline of each class, [classes, 2]; where `known`, [H, W].

    Args:
      truth, guess: numbers of classes, [H, W].
      known: which pixels count.
      classes: how many there are.
    """
    found = np.zeros((classes, 2), np.int64)
    for number in np.union1d(truth[known], guess[known]):
        one, other = near_outline(truth == number), near_outline(guess == number)
        found[number] = (one & other & known).sum(), ((one | other) & known).sum()
    return found


def _shrunk(mask: Mask, reach: int) -> Mask:
    """Where all of the column's pixels up to `reach` away are in the mask."""
    wide = np.pad(mask, ((reach + 1, reach), (0, 0)))
    total = np.cumsum(wide, axis=0, dtype=np.int64)
    span = 2 * reach + 1
    return total[span:] - total[:-span] == span
