"""Boxes (left, top, right, bottom): how much they overlap, and how they are told from anchors.

For NumPy and JAX alike, and any axes before those of a set of boxes.
"""

import math
from typing import Any

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""What offsets are multiplied by, so that their spread is near 1."""

MOST_GROWTH = math.log(1000 / 16)  # torchvision's: no box is more times as large as its anchor


def areas(boxes: Any) -> Any:
    """Of boxes [..., 4], [...]; 0 of one whose sides are turned round."""
    space = boxes.__array_namespace__()
    sides = space.maximum(boxes[..., 2:] - boxes[..., :2], space.zeros((), boxes.dtype))
    return sides[..., 0] * sides[..., 1]


def overlaps(these: Any, those: Any) -> Any:
    """Intersection over union of every pair of boxes [..., N, 4] and [..., M, 4]: [..., N, M].

    0 where both are of no area.
    """
    space = these.__array_namespace__()
    first, second = these[..., :, None, :], those[..., None, :, :]
    low = space.maximum(first[..., :2], second[..., :2])
    high = space.minimum(first[..., 2:], second[..., 2:])
    shared = areas(space.concatenate([low, high], axis=-1))
    union = areas(these)[..., :, None] + areas(those)[..., None, :] - shared
    one = space.ones((), these.dtype)
    return shared / space.where(union > 0, union, one)


def encoded(boxes: Any, anchors: Any) -> Any:
    """What offsets [..., 4] make of `anchors` [..., 4] the boxes: (x, y, width, height).

    (centre - anchor's) / anchor's side * 10, and log(side / anchor's side) * 5: arXiv 1311.2524,
    appendix C, with the weights of SSD.
    """
    space = boxes.__array_namespace__()
    (centre, sides), (middle, own) = _centred(boxes), _centred(anchors)
    told = space.concatenate([(centre - middle) / own, space.log(sides / own)], axis=-1)
    return told * _weights(boxes)


def decoded(offsets: Any, anchors: Any) -> Any:
    """The boxes [..., 4] that `offsets` [..., 4] make of `anchors`: `encoded` backwards."""
    space = offsets.__array_namespace__()
    told = offsets / _weights(offsets)
    middle, own = _centred(anchors)
    centre = middle + told[..., :2] * own
    most = space.asarray(MOST_GROWTH, dtype=offsets.dtype)
    half = own * space.exp(space.minimum(told[..., 2:], most)) / 2
    return space.concatenate([centre - half, centre + half], axis=-1)


def inside(boxes: Any) -> Any:
    """What of boxes [..., 4] lies in the image, whose sides are 1."""
    return boxes.__array_namespace__().clip(boxes, 0.0, 1.0)


def _centred(boxes: Any) -> tuple[Any, Any]:
    """Centres and sides, [..., 2] each."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low


def _weights(like: Any) -> Any:
    space = like.__array_namespace__()
    return space.asarray(WEIGHTS, dtype=like.dtype).reshape((1,) * (like.ndim - 1) + (4,))
