"""Of boxes that overlap, the surest: non-maximum suppression in NumPy, as on devices."""

from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.heads.detection.boxes import overlaps

Array = npt.NDArray[Any]


def kept(boxes: Array, scores: Array, most_overlap: float, classes: Array | None = None) -> Array:
    """The numbers of the boxes that stay, the surest first: [n].

    A box goes where one that is surer, of its own class, overlaps it by more than `most_overlap`.
    Of equally sure ones the first counts as surer. `adapters.heads.detection.fixed_suppression`
    does the same inside a compiled program.

    Args:
      boxes: [N, 4].
      scores: [N].
      most_overlap: intersection over union.
      classes: [N]; by default all boxes are of one.
    """
    order = np.argsort(-scores, kind="stable")
    rivals = overlaps(boxes[order], boxes[order]) > most_overlap
    if classes is not None:
        rivals &= classes[order][:, None] == classes[order][None]
    stays = np.ones(len(order), bool)
    for number in range(len(order)):
        if stays[number]:
            stays[number + 1 :] &= ~rivals[number, number + 1 :]
    return order[stays]
