"""What heads that find objects have in common: their answers, their score and their targets."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from adapters.heads.contract import (
    Array,
    Arrays,
    Boxes,
    Figure,
    HeadSettingError,
    Metric,
    Target,
    TargetError,
    finite,
)
from adapters.heads.detection.average_precision import average_precision
from adapters.heads.detection.detections import Detections
from adapters.heads.detection.thresholds import best_threshold
from adapters.view import View

OBJECTS = "objects"
TARGETS = {OBJECTS: Target("float32", per="object")}
UNKNOWN = 0.5  # how sure an answer is, where nothing was chosen

Find = Callable[[Arrays], Detections]
"""From the predictions of one image to all that may be in it."""


def threshold_of(threshold: float | None) -> float:
    """How sure a box has to be. Raises HeadSettingError for none from 0 to 1."""
    if threshold is None:
        return UNKNOWN
    if type(threshold) not in (int, float) or not 0 <= threshold <= 1:
        raise HeadSettingError(f"threshold is {threshold!r}; it must be a number from 0 to 1.")
    return threshold


def decode(find: Find, least: float) -> Callable[[Sequence[str], Arrays], Boxes]:
    """`Head.decode`, of boxes as sure as `least`."""

    def answer(labels: Sequence[str], predictions: Arrays) -> Boxes:
        finite(predictions)
        found = find(predictions).above(least)
        counts = np.bincount(found.classes, minlength=len(labels))
        said = ", ".join(f"{count} {labels[each]}" for each, count in enumerate(counts) if count)
        return Boxes(said or "nothing", *found)

    return answer


def listed(
    find: Find, least: float
) -> Callable[[Sequence[str], Arrays, View], list[dict[str, Any]]]:
    """`Head.listed`, of boxes as sure as `least`.

    `bbox` is as COCO has it: left, top, width and height, in pixels of the picture. What lies in
    its padding alone is left out.
    """

    def answer(labels: Sequence[str], predictions: Arrays, view: View) -> list[dict[str, Any]]:
        finite(predictions)
        boxes, scores, classes = find(predictions).above(least)
        corners = view.boxes(boxes) * np.tile([view.width, view.height], 2)
        places = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        return [
            {
                "label": labels[each],
                "score": float(score),
                "bbox": [round(float(value), 2) for value in place],
            }
            for place, score, each in zip(places, scores, classes, strict=True)
            if place[2:].all()
        ]

    return answer


def check_targets(targets: Arrays) -> None:
    """`Head.check_targets`: a list of [n, 5] is as good as [N, n, 5]. Raises TargetError."""
    if not any((np.asarray(objects)[:, 4] >= 0).any() for objects in targets[OBJECTS]):
        raise TargetError("no example has an object: there is nothing to find.")


def threshold_chosen(find: Find, predictions: Arrays, targets: Arrays) -> float | None:
    """The threshold with the best F1 on a split; None where nothing is found."""
    return best_threshold(*zip(*_pairs(find, predictions, targets), strict=True))


_State = tuple[int, tuple[tuple[Array, Detections], ...]]


def metric(find: Find) -> Metric:
    """COCO's average precision."""

    def init(outputs: int) -> _State:
        return outputs, ()

    def update(state: _State, predictions: Arrays, targets: Arrays) -> _State:
        outputs, before = state
        return outputs, (*before, *_pairs(find, predictions, targets))

    return Metric("AP", init, update, _figures)


def _pairs(find: Find, predictions: Arrays, targets: Arrays) -> list[tuple[Array, Detections]]:
    """The objects of each image, and what is found in it."""
    pairs = []
    for row, objects in enumerate(targets[OBJECTS]):
        truth = np.asarray(objects)
        one = {name: values[row] for name, values in predictions.items()}
        pairs.append((truth[truth[:, 4] >= 0], find(one)))
    return pairs


def _figures(state: _State) -> dict[str, Figure]:
    outputs, images = state
    if not images:
        raise TargetError("average precision of no examples is undefined.")
    truths, found = zip(*images, strict=True)
    score = average_precision(truths, found, outputs)
    return {
        "AP": Figure(score.over_overlaps, "fraction"),
        "AP50": Figure(score.at_half, "fraction"),
    }
