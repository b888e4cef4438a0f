"""Large images cut into square tiles, and the objects of each tile."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tasks.objects import LEAST_INSIDE, WIDTH

Array = npt.NDArray[np.float32]


def boxes_of(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Tight boxes [n, 4] of numbered regions [H, W], in pixels; 0 is no region."""
    found = []
    for number in np.unique(numbers[numbers > 0]):
        rows, columns = np.nonzero(numbers == number)
        found.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return np.reshape(np.array(found, np.int64), (-1, 4))


def objects_in(
    boxes: npt.ArrayLike, classes: npt.ArrayLike, left: int, top: int, side: int
) -> Array:
    """The objects [n, 5] of a tile, in parts of its side: those of which half lies inside.

    Args:
      boxes: [N, 4] of the large image, in pixels.
      classes: [N].
      left, top: corner of the tile.
      side: of the tile, pixels.
    """
    known = np.reshape(np.asarray(boxes, np.float64), (-1, 4))
    inside = np.clip(known, [left, top] * 2, [left + side, top + side] * 2)
    whole, shown = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (known, inside))
    rows = np.concatenate([(inside - [left, top] * 2) / side, np.c_[np.ravel(classes)]], axis=1)
    return rows[shown >= LEAST_INSIDE * whole].astype(np.float32).reshape(-1, WIDTH)


def corners(begin: int, end: int, side: int) -> Iterable[int]:
    """Where tiles begin along a line, side by side, as many as fit."""
    return range(begin, end - side + 1, side)
