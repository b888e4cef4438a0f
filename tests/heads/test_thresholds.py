"""The threshold with the best F1, against all that there are."""

import numpy as np
import pytest

from adapters.heads.detection.detections import Detections
from adapters.heads.detection.thresholds import best_threshold

FIRST, OTHER = [0.1, 0.1, 0.3, 0.3], [0.6, 0.6, 0.9, 0.9]


def found(*rows):
    """(box, score, class) of each, the surest first."""
    boxes, scores, classes = zip(*rows, strict=True)
    return Detections(np.array(boxes), np.array(scores), np.array(classes))


TRUTHS = [np.array([[*FIRST, 0], [*OTHER, 1]]), np.array([[*FIRST, 1]])]
NEAR = [0.1, 0.12, 0.3, 0.3]


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        # Right, right again (its object is taken), of another class; far, and right: 1/2 twice.
        (
            [
                [(FIRST, 0.9, 0), (NEAR, 0.8, 0), (OTHER, 0.7, 0)],
                [(OTHER, 0.4, 1), (NEAR, 0.3, 1)],
            ],
            0.9,
        ),
        ([[(FIRST, 0.9, 0), (OTHER, 0.6, 1)], [(NEAR, 0.35, 1), (OTHER, 0.2, 1)]], 0.35),
        ([[(NEAR, 0.123456, 0)], [(OTHER, 0.1, 0)]], 0.1234),
    ],
)
def test_it_takes_what_is_right_and_leaves_what_is_wrong(images, wanted):
    assert best_threshold(TRUTHS, [found(*rows) for rows in images]) == pytest.approx(wanted)


def test_where_nothing_is_right_there_is_none():
    wrong = [found((OTHER, 0.9, 0)), found((OTHER, 0.9, 1))]
    assert best_threshold(TRUTHS, wrong) is None
    assert best_threshold([TRUTHS[0][:0]], [Detections(*(v[:0] for v in wrong[0]))]) is None
