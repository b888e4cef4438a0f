"""Anchors: the boxes that a detector's predictions start from, some around every cell of a map.

Boxes are (left, top, right, bottom) in parts of the image's sides. A scale is the side of a square
anchor; anchors of other shapes keep its area.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from adapters.errors import UnknownNameError

Array = npt.NDArray[np.float32]
Grid = tuple[int, int]
"""Height and width of a map, in cells."""

RATIOS = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)
TENSORFLOW_RATIOS = (1.0, 2.0, 1 / 2, 3.0, 0.3333)  # as its configurations write a third
LOWEST_SCALE = 0.1  # TensorFlow's square anchor on the first map
OCTAVES, OCTAVE_RATIOS = 2, (1.0, 2.0, 1 / 2)


def scales(maps: int, smallest: float, largest: float) -> list[float]:
    """The scale of each map, linear from `smallest` to `largest`, and 1 after the last.

    Liu et al., "SSD", arXiv 1512.02325, equation 4.

    >>> scales(3, 0.2, 0.9)
    [0.2, 0.55, 0.9, 1.0]
    """
    step = (largest - smallest) / max(maps - 1, 1)
    return [*(round(smallest + number * step, 12) for number in range(maps)), 1.0]


def torchvision(given: Sequence[float]) -> list[list[tuple[float, float]]]:
    """Widths and heights of the six anchors of each map's cells, in torchvision's order.

    Two squares, of a map's scale and of the geometric mean with the next one's, then those of the
    ratios 2, 1/2, 3 and 1/3; no side is longer than the image's.
    """
    found = []
    for own, after in itertools.pairwise(given):
        squares = [(own, own), (math.sqrt(own * after),) * 2]
        others = [_sides(own, ratio) for ratio in RATIOS[1:]]
        found.append([(min(wide, 1.0), min(high, 1.0)) for wide, high in squares + others])
    return found


def tensorflow(given: Sequence[float]) -> list[list[tuple[float, float]]]:
    """The same in the order of TensorFlow's object detection; the first map has three.

    Those three are a square of scale 0.1 and the ratios 2 and 1/2 of its own scale
    (`reduce_boxes_in_lowest_layer`): it has no square of its own scale.
    """
    found = []
    for number, (own, after) in enumerate(itertools.pairwise(given)):
        if not number:
            found.append([(LOWEST_SCALE,) * 2, _sides(own, 2.0), _sides(own, 1 / 2)])
        else:
            last = (math.sqrt(own * after),) * 2
            found.append([*(_sides(own, ratio) for ratio in TENSORFLOW_RATIOS), last])
    return found


def octaves(
    levels: Sequence[int], size: int, anchor_scale: float = 4.0
) -> list[list[tuple[float, float]]]:
    """Six anchors a cell of feature pyramids: two scales an octave, of the ratios 1, 2 and 1/2.

    Lin et al., "Focal Loss for Dense Object Detection", arXiv 1708.02002, section 4, as
    TensorFlow's `multiscale_anchor_generator` has them.

    Args:
      levels: of the maps; that of level l has a stride of 2**l pixels.
      size: side of the image, pixels.
      anchor_scale: side of a level's smaller square, in strides.
    """
    return [
        [
            _sides(anchor_scale * 2**level / size * 2 ** (octave / OCTAVES), ratio)
            for octave in range(OCTAVES)
            for ratio in OCTAVE_RATIOS
        ]
        for level in levels
    ]


def placed(sides: Sequence[Sequence[tuple[float, float]]], grids: Sequence[Grid]) -> Array:
    """Anchors [A, 4] around the centres of the cells of maps, row by row, cell by cell.

    Args:
      sides: width and height of each anchor of a cell, for each map.
      grids: of the maps.

    >>> placed([[(0.5, 1.0)]], [(1, 2)]).tolist()
    [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
    """
    found = []
    for own, (height, width) in zip(sides, grids, strict=True):
        y, x = np.mgrid[:height, :width] + 0.5
        centres = np.stack([x / width, y / height], axis=-1).reshape(-1, 1, 2)
        half = np.asarray(own)[None] / 2
        found.append(np.concatenate([centres - half, centres + half], axis=-1).reshape(-1, 4))
    return np.concatenate(found).astype(np.float32)


CONVENTIONS: dict[str, Callable[[Sequence[float]], list[list[tuple[float, float]]]]] = {
    "torchvision": torchvision,
    "tensorflow": tensorflow,
}


def sides_of(
    convention: str, maps: int, smallest: float, largest: float
) -> list[list[tuple[float, float]]]:
    """Widths and heights of each map's anchors by a convention of SSD. Raises UnknownNameError."""
    if convention not in CONVENTIONS:
        raise UnknownNameError("convention of anchors", convention, CONVENTIONS)
    return CONVENTIONS[convention](scales(maps, smallest, largest))


def _sides(scale: float, ratio: float) -> tuple[float, float]:
    """Width and height of the area scale**2, so many times as wide as high."""
    return scale * math.sqrt(ratio), scale / math.sqrt(ratio)
