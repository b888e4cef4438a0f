"""How well maps of scores tell where things are: MaxBoxAcc, MaxBoxAccV2 and PxAP.

Choe, Oh, Lee, Chun, Akata, Shim, "Evaluating Weakly Supervised Object Localization Methods Right",
arXiv 2001.07437, section 3. Both accuracies are of boxes around what is above a threshold, and ask
for the best threshold; one that is chosen on the images that are scored is an oracle, so it is
chosen here on others, and the oracle can be had beside it. Beside every figure belongs that of a
box, or a Gaussian, in the middle of the image, which knows nothing of it.

Thresholds are a hundredth apart (published: a thousandth). Edges of boxes are those of pixels, so
that a box of one pixel has the area 1, which is what the published +1 gives.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.analysis.pieces import pieces
from adapters.errors import ModelPatchError
from adapters.heads.detection.boxes import overlaps

Array = npt.NDArray[np.float64]

THRESHOLDS = np.arange(100) / 100
"""Of scores from 0 to 1: what is above one is inside."""

SIDES = np.arange(1, 101) / 100
"""Of boxes in the middle, in parts of the image's sides."""

OVERLAP = 0.5
OVERLAPS = (0.3, 0.5, 0.7)
"""Least intersections over union, of MaxBoxAcc and of MaxBoxAccV2."""


class PlaceError(ModelPatchError):
    """Boxes or masks that a map cannot be scored against."""


class Overlaps(NamedTuple):
    """How well boxes of N images fit what is there, at each of T thresholds or sizes.

    Attributes:
      largest: [N, T], intersection over union of the box around the largest piece with the best of
        the image's own boxes; 0 where nothing is inside.
      best: [N, T], the same of the best box around any piece.
    """

    largest: Array
    best: Array


class BoxAccuracy(NamedTuple):
    """Shares of images whose box is right.

    Attributes:
      v1: MaxBoxAcc: the box around the largest piece, an intersection over union of 0.5 or more.
      v2: MaxBoxAccV2: any piece's box; the mean over those of 0.3, 0.5 and 0.7 or more.
    """

    v1: float
    v2: float


def map_overlaps(maps: Iterable[npt.NDArray[np.float32]], boxes: Sequence[Array]) -> Overlaps:
    """The overlaps of what is above each of `THRESHOLDS`.

    Args:
      maps: of each image [H, W], from 0 to 1.
      boxes: of each image [m, 4], one or more; left, top, right and bottom in pixels of the map.

    Raises PlaceError for an image without a box, or with one of no area or outside of the map.
    """
    largest = np.zeros((len(boxes), len(THRESHOLDS)))
    best = np.zeros_like(largest)
    for number, (scores, own) in enumerate(zip(maps, boxes, strict=True)):
        _check_boxes(own, *scores.shape)
        found = pieces(scores > THRESHOLDS[:, None, None])
        fits = overlaps(found.boxes.astype(np.float64), own).max(axis=1)
        np.maximum.at(best[number], found.masks, fits)
        # Of equally large pieces the last is taken, which is written last.
        order = np.argsort(found.areas, kind="stable")
        largest[number, found.masks[order]] = fits[order]
    return Overlaps(largest, best)


def centre_overlaps(boxes: Sequence[Array], height: int, width: int) -> Overlaps:
    """The overlaps of boxes in the middle of images, with each of `SIDES`; raises as above."""
    for own in boxes:
        _check_boxes(own, height, width)
    edges = np.stack([0.5 - SIDES / 2, 0.5 - SIDES / 2, 0.5 + SIDES / 2, 0.5 + SIDES / 2], axis=1)
    middle = edges * np.array([width, height, width, height])
    fits = np.array([overlaps(middle, own).max(axis=1) for own in boxes])
    return Overlaps(fits, fits)


def box_accuracy(scored: Overlaps, chosen_on: Overlaps) -> BoxAccuracy:
    """The accuracies of `scored` at the thresholds that are best on `chosen_on`.

    Each least overlap has a threshold of its own. With `scored` twice, these are the published
    figures, which are an oracle's.
    """

    def right(least: float, name: str) -> float:
        at_each = (getattr(chosen_on, name) >= least).mean(axis=0)
        return float((getattr(scored, name)[:, at_each.argmax()] >= least).mean())

    return BoxAccuracy(
        right(OVERLAP, "largest"), float(np.mean([right(least, "best") for least in OVERLAPS]))
    )


def boxes_above(scores: npt.NDArray[np.float32], threshold: float) -> Array:
    """Boxes [n, 4] around the pieces of a map [H, W] that are above a threshold, the largest first.

    Left, top, right and bottom in pixels of the map.
    """
    found = pieces(scores[None] > threshold)
    return found.boxes[np.argsort(-found.areas, kind="stable")].astype(np.float64)


def best_threshold(chosen_on: Overlaps) -> float:
    """The threshold of the highest MaxBoxAcc: the lowest of equal ones."""
    return float(THRESHOLDS[(chosen_on.largest >= OVERLAP).mean(axis=0).argmax()])


def pixel_average_precision(
    maps: npt.NDArray[np.float32], masks: npt.NDArray[np.bool_], counts: npt.NDArray[np.bool_]
) -> float:
    """PxAP: of the pixels of all images together, the average precision of scores.

    The sum over all scores, from the highest on, of the precision at each times what it adds to
    recall (published: over a thousand thresholds).

    Args:
      maps: [N, H, W].
      masks: [N, H, W], where things are.
      counts: [N, H, W], False where a pixel does not count.

    Raises PlaceError where no pixel that counts is of a thing.
    """
    scores, inside = maps[counts], masks[counts]
    if not inside.any():
        raise PlaceError("no pixel that counts is of a thing: there is nothing to be found.")
    order = np.argsort(-scores, kind="stable")
    scores, inside = scores[order], inside[order]
    last = np.append(scores[1:] != scores[:-1], True)  # of those of one score
    right = np.cumsum(inside)[last]
    precision = right / (np.flatnonzero(last) + 1)
    recall = right / right[-1]
    return float(np.sum(precision * np.diff(recall, prepend=0.0)))


def centred_gaussian(height: int, width: int) -> npt.NDArray[np.float32]:
    """A map [height, width] that is highest in the middle, its deviation a quarter of each side.

    PxAP asks for the order of scores alone, so no other deviation would give another.
    """
    rows, columns = (((np.arange(side) + 0.5) / side - 0.5) / 0.25 for side in (height, width))
    return np.exp(-(rows[:, None] ** 2 + columns**2) / 2).astype(np.float32)


def _check_boxes(boxes: Array, height: int, width: int) -> None:
    if not len(boxes):
        raise PlaceError("an image has no box: nothing can be found in it.")
    sides = np.array([width, height])
    if (boxes[:, :2] < 0).any() or (boxes[:, 2:] > sides).any():
        raise PlaceError(f"a box lies outside of its map of {width} x {height}: {boxes.tolist()}.")
    if (boxes[:, 2:] <= boxes[:, :2]).any():
        raise PlaceError(f"a box has no area: {boxes.tolist()}.")
