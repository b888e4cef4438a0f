"""Boundary IoU: counted by hand, and against distances to every pixel outside."""

import numpy as np
import pytest

from adapters.heads.boundaries import boundary_counts, near_outline
from adapters.heads.registry import from_spec


def test_a_square_one_pixel_aside_is_counted_by_hand():
    """6 x 6 in 10 x 10: a reach of one pixel, a ring of 20, of which 10 are shared."""
    truth, guess = np.zeros((2, 10, 10), int)
    truth[2:8, 2:8] = guess[2:8, 3:9] = 1
    known = np.ones((10, 10), bool)
    assert near_outline(truth == 1).sum() == 20
    # Shared: columns 3 to 7 of both horizontal sides; vertical sides lie in other columns.
    (_, square) = boundary_counts(truth, guess, known, 2)
    assert list(square) == [10, 30]
    known[:, :5] = False  # columns 5 to 7 of both sides; of either what lies from column 5 on
    assert list(boundary_counts(truth, guess, known, 2)[1]) == [6, 6 + 2 + 4 + 4]


@pytest.mark.parametrize("side", [5, 64])
def test_what_is_near_is_as_far_as_two_percent_of_the_diagonal(side):
    """By the distance, along rows or columns, to the nearest pixel outside, or to the edge."""
    mask = np.random.default_rng(side).random((side, side + 3)) < 0.995
    reach = max(1, round(0.02 * np.hypot(*mask.shape)))
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    places = np.argwhere(np.ones_like(mask))
    far = np.abs(places[:, None] - outside).max(axis=-1).min(axis=1).reshape(mask.shape)
    np.testing.assert_array_equal(near_outline(mask), mask & (far <= reach))


def test_it_stands_beside_the_score():
    """Nine in ten pixels right leave a score that is high, and outlines that are wrong."""
    truth = np.zeros((1, 40, 40), int)
    truth[:, 10:30, 10:30] = 1
    moved = np.roll(truth, 2, axis=2)
    metric = from_spec("segmentation").metric
    logits = 9.0 * np.eye(2)[moved]
    state = metric.update(metric.init(2), {"logits": logits}, {"classes": truth})
    figures = metric.result(state)
    assert list(figures) == ["mIoU", "boundary IoU", "pixel accuracy"]
    assert figures["boundary IoU"].value < 0.6 < 0.85 < figures["mIoU"].value
    right = metric.update(metric.init(2), {"logits": 9.0 * np.eye(2)[truth]}, {"classes": truth})
    assert metric.result(right)["boundary IoU"].value == 1
