"""Outlines of objects as COCO writes them, polygons and lengths of runs, and their pixels.

The rules are those of COCO's own tools (`maskApi.c` of cocodataset/cocoapi): an outline is sampled
five times a pixel, pixels go column by column, and one is in or out by how many crossings of the
outline lie before it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

_SCALE = 5  # points of an outline a pixel


class Strip(NamedTuple):
    """The pixels of an outline: `mask` [columns, H] of an image's columns from `first` on."""

    first: int
    mask: Mask

    @property
    def area(self) -> int:
        """How many pixels it has."""
        return int(self.mask.sum())


def polygons(outlines: Sequence[npt.NDArray[np.float64]], height: int, width: int) -> Strip:
    """The pixels that lie in any of several polygons.

    Args:
      outlines: points [n, 2] each, x and y in pixels; what reaches over the edge is cut.
      height, width: of the image.
    """
    crossings = [_crossings(points, height, width) for points in outlines]
    columns = np.concatenate([own // height for own in crossings])
    if not len(columns):
        return Strip(0, np.zeros((1, height), bool))
    # A crossing below a column's last pixel belongs to the next one's first.
    first, last = int(columns.min()), min(int(columns.max()), width - 1)
    mask = np.zeros((last - first + 1) * height, bool)
    for own in crossings:
        turns = np.bincount(own - first * height, minlength=len(mask))[: len(mask)]
        mask |= np.cumsum(turns) % 2 == 1
    return Strip(first, mask.reshape(-1, height))


def runs(counts: Sequence[int], height: int, width: int) -> Strip | None:
    """The pixels of lengths of runs, out, in, out, and so on; None unless they fill the image."""
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        return None
    inside = np.arange(len(counts)) % 2 == 1
    return Strip(0, np.repeat(inside, counts).reshape(width, height))


def read_runs(text: str) -> list[int] | None:
    """Lengths of runs from COCO's text, in which each is told by its difference; None if it is odd.

    A character has five bits of a number, the lowest ones first, and a sixth that says whether more
    follow. From the third on, a number is what has to be added to the one before the last.

    >>> read_runs("134")
    [1, 3, 4]
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return None if shift else counts


def _crossings(points: npt.NDArray[np.float64], height: int, width: int) -> npt.NDArray[np.int64]:
    """Where a polygon crosses the columns of an image: numbers of pixels, column by column."""
    corners = np.trunc(_SCALE * points + 0.5).astype(np.int64)
    start, end = corners, np.roll(corners, -1, axis=0)
    steps = np.abs(end - start)
    wide = steps[:, 0] >= steps[:, 1]
    long = np.where(wide, steps[:, 0], steps[:, 1])  # along the longer axis
    backward = np.where(wide, start[:, 0] > end[:, 0], start[:, 1] > end[:, 1])
    low, high = np.where(backward[:, None], end, start), np.where(backward[:, None], start, end)
    along, across = np.where(wide, 0, 1), np.where(wide, 1, 0)
    edges = np.arange(len(points))
    rise = high[edges, across] - low[edges, across]
    slope = rise / np.maximum(long, 1)
    edge = np.repeat(edges, long + 1)
    place = np.arange(len(edge)) - np.repeat(np.cumsum(long + 1) - long - 1, long + 1)
    place = np.where(backward[edge], long[edge] - place, place)
    one = low[edge, along[edge]] + place
    other = np.trunc(low[edge, across[edge]] + slope[edge] * place + 0.5).astype(np.int64)
    x, y = np.where(wide[edge], one, other), np.where(wide[edge], other, one)
    left = np.minimum(x[1:], x[:-1])
    centre = (_SCALE - 1) // 2  # the place in a pixel between two samples whose middle is its own
    kept = (x[1:] != x[:-1]) & (left % _SCALE == centre) & (left >= 0)
    kept &= left < _SCALE * width
    columns = left[kept] // _SCALE
    above = (np.minimum(y[1:], y[:-1])[kept] + 0.5) / _SCALE - 0.5
    return columns * height + np.ceil(np.clip(above, 0, height)).astype(np.int64)
