"""Connected pieces of many masks at once, and the box around each."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Pieces(NamedTuple):
    """Connected pieces of N masks, those of the first mask first.

    Attributes:
      masks: [n], which mask each lies in.
      boxes: [n, 4], left, top, right and bottom in pixels, the last two just outside.
      areas: [n], in pixels.
    """

    masks: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.int64]
    areas: npt.NDArray[np.int64]


def pieces(masks: npt.NDArray[np.bool_]) -> Pieces:
    """The pieces of masks [N, H, W], whose pixels touch at sides or corners.

    Pixels of a row that touch are a run; runs of rows that follow each other are joined where they
    touch, until nothing changes.

    >>> pieces(np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 0]], [[1, 0, 1], [0, 0, 0], [0, 0, 0]]]) > 0)
    Pieces(masks=array([0, 1, 1]), boxes=array([[0, 0, 2, 2],
           [0, 0, 1, 1],
           [2, 0, 3, 1]]), areas=array([2, 1, 1]))
    """
    height, width = masks.shape[1:]
    # An empty row after each mask keeps them apart, an empty column on both sides ends every run.
    lines = np.pad(masks, ((0, 0), (0, 1), (1, 1))).reshape(-1, width + 2).astype(np.int8)
    steps = np.diff(lines, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)  # of the same runs, since both come row by row
    numbers = np.unique(_joined(rows, starts, ends, width + 2), return_inverse=True)[1]
    total = int(numbers.max(initial=-1)) + 1
    boxes = np.empty((total, 4), np.int64)
    boxes[:, :2], boxes[:, 2:] = max(len(lines), width), 0
    above = rows % (height + 1)
    for column, values, pick in (
        (0, starts, np.minimum),
        (1, above, np.minimum),
        (2, ends, np.maximum),
        (3, above + 1, np.maximum),
    ):
        pick.at(boxes[:, column], numbers, values)
    areas = np.zeros(total, np.int64)
    np.add.at(areas, numbers, ends - starts)
    owners = np.zeros(total, np.int64)
    owners[numbers] = rows // (height + 1)
    return Pieces(owners, boxes, areas)


def _joined(
    rows: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    stride: int,
) -> npt.NDArray[np.int64]:
    """Of each run the number of the first run of its piece; `stride` is more than any end."""
    first = np.searchsorted(rows * stride + ends, (rows - 1) * stride + starts, "left")
    last = np.searchsorted(rows * stride + starts, (rows - 1) * stride + ends, "right")
    touching = np.maximum(last - first, 0)  # runs of the row above
    below = np.repeat(np.arange(len(rows)), touching)
    offsets = np.arange(len(below)) - np.repeat(np.cumsum(touching) - touching, touching)
    above = np.repeat(first, touching) + offsets
    found = np.arange(len(rows))
    while True:
        lowest = np.minimum(found[above], found[below])
        joined = found.copy()
        np.minimum.at(joined, above, lowest)
        np.minimum.at(joined, below, lowest)
        joined = joined[joined]
        if (joined == found).all():
            return found
        found = joined
