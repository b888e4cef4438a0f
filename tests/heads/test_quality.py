"""Panoptic quality: counted by hand, and derived anew from every pair of segments."""

import json

import numpy as np
import pytest

from adapters.heads.masks.quality import counted, quality
from tests.golden import make_panoptic_goldens as goldens


def test_two_segments_are_counted_by_hand():
    """Of class 0, 8 pixels of which 6 are found; of class 1, nothing is found and one invented."""
    truth = np.full((4, 4), 100)
    truth[:2] = 0
    numbers = np.full((4, 4), -1)
    numbers[:2, :3] = 0
    numbers[2, :2] = 1
    counts = counted(truth, numbers, np.array([0, 1]), 3)
    np.testing.assert_allclose(counts, [[0.75, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]])
    found = quality(counts)  # the third class has no segment
    assert found.panoptic == pytest.approx((0.75 + 0) / 2)
    assert found.segmentation == pytest.approx((0.75 + 0) / 2)
    assert found.recognition == pytest.approx((1 + 0) / 2)


def test_half_is_not_enough_and_the_wrong_class_is_nothing():
    truth = np.array([[0, 0, 100, 100]])
    half = counted(truth, np.array([[0, -1, -1, -1]]), np.array([0]), 2)
    np.testing.assert_array_equal(half, [[0, 0, 1, 1], [0, 0, 0, 1]])
    other = counted(truth, np.array([[0, 0, -1, -1]]), np.array([1]), 2)
    np.testing.assert_array_equal(other, [[0, 0, 0, 1], [0, 0, 1, 1]])


def test_pixels_that_do_not_count_are_of_neither():
    """A segment is as if it ended there; one that is mostly there is not invented."""
    truth = np.array([[0, 0, -1, -1, -1, 0]])
    counts = counted(truth, np.array([[0, 0, 0, 1, 1, 1]]), np.array([0, 0]), 1)
    np.testing.assert_allclose(counts, [[2 / 3, 1, 0, 0]])


def test_nothing_is_of_no_quality():
    assert quality(np.zeros((2, 4))) == (0, 0, 0)


def by_every_pair(truth, numbers, classes, outputs):
    """The definition, mask by mask: arXiv 1801.00868, sections 4.1 and 4.2."""
    found = np.zeros((outputs, 4))
    known = truth >= 0
    wanted = {int(n): truth == n for n in np.unique(truth[known])}
    given = {int(n): numbers == n for n in np.unique(numbers[numbers >= 0])}
    right = {}
    for n, mask in wanted.items():
        for m, other in given.items():
            union = (mask | (other & known)).sum()
            overlap = (mask & other).sum() / union
            if n // 100 == classes[m] and overlap > 0.5:
                right[n] = (m, overlap)
    for n, (_, overlap) in right.items():
        found[n // 100] += (overlap, 1, 0, 0)
    for n in wanted.keys() - right.keys():
        found[n // 100, 3] += 1
    for m in given.keys() - {m for m, _ in right.values()}:
        found[classes[m], 2] += (given[m] & ~known).sum() <= 0.5 * given[m].sum()
    return found


@pytest.mark.parametrize("seed", range(8))
def test_counts_are_those_of_every_pair(seed):
    """Of blocks, most of which are found more or less."""
    generator = np.random.default_rng(seed)
    blocks = generator.choice([-1, 0, 1, 100, 200, 201], (4, 4))
    truth = blocks.repeat(4, 0).repeat(4, 1)
    classes = generator.integers(0, 3, 7)
    own = generator.permutation(6)
    numbers = own[np.searchsorted([-1, 0, 1, 100, 200, 201], truth)]
    for number, label in zip(own, [2, 0, 0, 1, 2, 2], strict=True):
        classes[number] = label if generator.random() < 0.8 else classes[number]
    noise = generator.random(truth.shape) < 0.3
    numbers = np.where(noise, generator.integers(-1, 7, truth.shape), numbers)
    wanted = by_every_pair(truth, numbers, classes, 3)
    assert wanted[:, 1].sum()
    np.testing.assert_allclose(counted(truth, numbers, classes, 3), wanted)


def test_quality_is_what_coco_counts():
    """Of images together, all classes, things, and surfaces."""
    counts = sum(counted(*goldens.maps(image), goldens.CLASSES) for image in range(goldens.IMAGES))
    wanted = json.loads(goldens.PATH.read_text())
    for name, rows in (
        ("All", counts),
        ("Things", counts[goldens.STUFF :]),
        ("Stuff", counts[: goldens.STUFF]),
    ):
        expected = [wanted[name][figure] for figure in ("pq", "sq", "rq")]
        assert 0.1 < expected[0] < 0.9
        np.testing.assert_allclose(quality(rows), expected, rtol=1e-9)
