"""COCO's average precision of boxes, against a count of its own and against what is known."""

import sys

import numpy as np
import pytest

from adapters.heads.contract import TargetError
from adapters.heads.detection.average_precision import EvaluatorMissingError, average_precision
from adapters.heads.detection.detections import Detections

GENERATOR = np.random.default_rng(3)
RECALLS = np.linspace(0, 1, 101)


def overlap(one, other):
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = np.prod(np.maximum(high - low, 0))
    return shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


def counted(truths, found, label, least):
    """Precision at 101 recalls of one class, where boxes count as found from `least` on.

    Each box, the surest of its image first, takes the free object that it overlaps most.
    """
    hits = []
    for truth, said in zip(truths, found, strict=True):
        free = [row[:4] for row in truth if row[4] == label]
        own = said.classes == label
        for box, score in sorted(
            zip(said.boxes[own], said.scores[own], strict=True), key=lambda pair: -pair[1]
        ):
            shared = [overlap(box, other) for other in free]
            hit = bool(shared) and max(shared) >= least
            if hit:
                free.pop(int(np.argmax(shared)))
            hits.append((score, hit))
    total = sum((truth[:, 4] == label).sum() for truth in truths)
    right = np.cumsum([hit for _, hit in sorted(hits, key=lambda pair: -pair[0])])
    precision = right / np.arange(1, len(right) + 1)
    best = [precision[right / total >= recall].max(initial=0) for recall in RECALLS]
    return np.mean(best)


def drawn(images, classes):
    """Objects of random images, and boxes near them and elsewhere."""
    truths, found = [], []
    for _ in range(images):
        count = GENERATOR.integers(0, 6)
        corners = GENERATOR.uniform(0, 0.6, (count, 2))
        sides = GENERATOR.uniform(0.1, 0.4, (count, 2))
        labels = GENERATOR.integers(0, classes, count)
        truths.append(np.concatenate([corners, corners + sides, np.c_[labels]], axis=1))
        near = np.repeat(truths[-1], 2, axis=0)
        boxes = np.clip(near[:, :4] + GENERATOR.normal(0, 0.02, (len(near), 4)), 0, 1)
        wrong = GENERATOR.random(len(near)) < 0.2
        said = np.where(wrong, GENERATOR.integers(0, classes, len(near)), near[:, 4]).astype(int)
        found.append(Detections(boxes, GENERATOR.random(len(near)), said))
    return truths, found


def test_random_boxes_are_counted_right():
    truths, found = drawn(30, 3)
    at = [
        np.mean([counted(truths, found, label, least) for label in range(3)])
        for least in np.arange(0.5, 1, 0.05)
    ]
    score = average_precision(truths, found, 3)
    assert 0.1 < score.over_overlaps < score.at_half < 0.9
    assert score.over_overlaps == pytest.approx(np.mean(at), abs=1e-6)
    assert score.at_half == pytest.approx(at[0], abs=1e-6)


@pytest.mark.parametrize(("shift", "passed"), [(0.0, 10), (0.05, 9), (0.1, 7), (0.2, 4), (0.4, 0)])
def test_shifted_boxes_pass_as_many_overlaps_as_they_share(shift, passed):
    """A share of their width to the right: (1 - shift) / (1 + shift), counted from 0.5 on."""
    truths, _ = drawn(6, 2)
    found = [
        Detections(
            own[:, :4] + shift * (own[:, 2] - own[:, 0])[:, None] * [1, 0, 1, 0],
            np.ones(len(own)),
            own[:, 4].astype(int),
        )
        for own in truths
    ]
    share = (1 - shift) / (1 + shift)
    assert passed == sum(share >= least for least in np.arange(0.5, 1, 0.05))
    score = average_precision(
        [own[:1] for own in truths], [Detections(*(v[:1] for v in one)) for one in found], 2
    )
    assert score.over_overlaps == pytest.approx(passed / 10)
    assert score.at_half == (passed > 0)


def test_no_boxes_score_nothing_and_no_objects_have_no_score():
    truths, found = drawn(3, 2)
    nothing = [Detections(one.boxes[:0], one.scores[:0], one.classes[:0]) for one in found]
    assert average_precision(truths, nothing, 2) == (0, 0)
    with pytest.raises(TargetError, match="no objects"):
        average_precision([own[:0] for own in truths], found, 2)


def test_without_the_package_it_is_said_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(EvaluatorMissingError, match=r"modelpatch\[evaluation\]"):
        average_precision(*drawn(3, 2), 2)
