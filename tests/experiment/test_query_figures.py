"""Figures of what is found when it is asked for, on answers made by hand."""

import numpy as np
import pytest

from adapters.experiment import query_figures as figures
from adapters.experiment.query_figures import About
from adapters.heads.contract import Boxes


def box(left, side=0.1):
    return [left, 0.0, left + side, side]


def answer(truth, found, scores, label=0):
    boxes = np.array(found).reshape(-1, 4)
    return About(label, np.array(truth).reshape(-1, 4), boxes, np.array(scores, np.float64))


# Ten objects of ten sizes, nine of them found, the larger the surer; and ten images without the
# class, in five of which there is a box.
PRESENT = [
    answer([box(0.1, 0.1 + 0.05 * n)], [box(0.1, 0.1 + 0.05 * n)] if n else [], [n / 10][: n > 0])
    for n in range(10)
]
ABSENT = [answer([], [box(0.3)] if n < 5 else [], [0.55 - n / 10][: n < 5]) for n in range(10)]
ALL = PRESENT + ABSENT


def test_only_boxes_of_the_class_count():
    objects = np.array([[*box(0.1), 0], [*box(0.5), 1]])
    found = Boxes("", np.array([box(0.5), box(0.1)]), np.array([0.9, 0.8]), np.array([0, 1]))
    one = figures.about(1, objects, found)
    np.testing.assert_array_equal(one.truth, [box(0.5)])
    np.testing.assert_array_equal(one.boxes, [box(0.1)])
    np.testing.assert_array_equal(one.scores, [0.8])


def test_precision_is_of_images_that_show_the_class():
    right = answer([box(0.1)], [box(0.1)], [0.5])
    other = answer([box(0.4)], [box(0.4)], [0.9], label=1)
    loud = answer([], [box(0.1)], [0.9])
    assert figures.precision([right, other, loud], 2).over_overlaps == pytest.approx(1)
    wrong = answer([box(0.1)], [box(0.7)], [0.9])
    assert figures.precision([right, other, wrong], 2).at_half < 0.9


def test_sureness_is_of_the_surest_box_around_an_object():
    both = answer([box(0.1), box(0.5)], [box(0.11), box(0.1), box(0.8)], [0.3, 0.7, 0.9])
    np.testing.assert_allclose(figures.sureness([both]), [0.7, 0])
    np.testing.assert_allclose(figures.sizes([both]), 0.01)


def test_alarms_are_counted_at_the_threshold_of_a_recall():
    np.testing.assert_allclose(figures.sureness(PRESENT), np.arange(10) / 10)
    assert figures.reachable(ALL) == 0.9
    assert figures.false_alarms(ALL, 0.9) == 0.5  # from 0.1 on: 0.55, 0.45, 0.35, 0.25, 0.15
    assert figures.false_alarms(ALL, 0.5) == pytest.approx(0.1)  # the fifth is sure by 0.5
    assert figures.false_alarms(ALL, 0.3) == 0


def test_recall_by_size_is_at_the_threshold_of_few_alarms():
    # One of ten alarms may stay: those from 0.45 down do not count.
    found = figures.recall_by_size(ALL)
    assert found == {"smallest": 0, "middle": pytest.approx(2 / 3), "largest": 1}


def test_the_surest_box_is_right_or_not():
    one = answer([box(0.1), box(0.5)], [box(0.5), box(0.1)], [0.9, 0.8])
    none = answer([box(0.1)], [], [])
    asked = [(np.array(box(0.5)), one), (np.array(box(0.1)), one), (np.array(box(0.1)), none)]
    assert figures.surest_right(asked) == pytest.approx(1 / 3)
