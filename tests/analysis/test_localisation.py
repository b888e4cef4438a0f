"""Localisation's figures: by hand, and against a fill and loops over thresholds and pixels."""

import numpy as np
import pytest

from adapters.analysis import localisation as figures
from adapters.analysis.localisation import OVERLAPS, SIDES, THRESHOLDS, Overlaps, PlaceError
from adapters.analysis.pieces import pieces
from adapters.resizing import resized


def smooth(generator, count, height, width):
    """Maps from 0 to 1 with a few hills each."""
    found = resized(generator.random((count, height // 4, width // 4, 1)), height, width)[..., 0]
    found -= found.min(axis=(1, 2), keepdims=True)
    return (found / found.max(axis=(1, 2), keepdims=True)).astype(np.float32)


def filled(mask):
    """[(box, area)] of a mask's pieces, each pixel by pixel from one of them."""
    left = {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}
    found = []
    while left:
        own, new = set(), {left.pop()}
        while new:
            row, column = new.pop()
            own.add((row, column))
            near = {(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1)} & left
            left -= near
            new |= near
        rows, columns = zip(*own, strict=True)
        found.append(((min(columns), min(rows), max(columns) + 1, max(rows) + 1), len(own)))
    return found


def by_pixels(first, second, side=24):
    """Intersection over union of two boxes, by counting the quarter pixels in them."""
    where = (np.arange(side * 4) + 0.5) / 4
    inside = [
        ((where >= b[1]) & (where < b[3]))[:, None] & ((where >= b[0]) & (where < b[2]))
        for b in (first, second)
    ]
    return (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum()


def test_pieces_are_what_a_fill_reaches():
    generator = np.random.default_rng(0)
    for level in (0, 0.2, 0.4, 0.6):
        masks = generator.random((6, 17, 23)) < level
        found = [
            (int(a), tuple(b.tolist()), int(c)) for a, b, c in zip(*pieces(masks), strict=True)
        ]
        wanted = [(n, *one) for n, mask in enumerate(masks) for one in filled(mask)]
        assert sorted(found) == sorted(wanted)
    spiral = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [1, 1, 1, 0, 1], [1, 0, 0, 0, 1]])
    spiral = np.vstack([spiral, [1, 1, 1, 1, 1]]) > 0
    assert pieces(np.stack([spiral, ~spiral])).areas.tolist() == [17, 8]


def test_two_hills_by_hand():
    """The larger hill is low: the smaller one is right, and V2 alone may take it."""
    scores = np.zeros((10, 10), np.float32)
    scores[1:7, 1:7], scores[8:10, 8:10] = 0.5, 1.0
    found = figures.map_overlaps([scores], [np.array([[8.0, 8, 10, 10]])])
    low, high = THRESHOLDS < 0.5, THRESHOLDS >= 0.5
    assert (found.largest[0, low] == 0).all()
    assert (found.best[0] == 1).all()
    assert (found.largest[0, high] == 1).all()
    assert figures.best_threshold(found) == 0.5
    chosen = Overlaps(np.where(low, 1.0, 0.0)[None], found.best)
    assert figures.box_accuracy(found, chosen) == (0.0, 1.0)
    assert figures.box_accuracy(found, found) == (1.0, 1.0)
    np.testing.assert_array_equal(figures.boxes_above(scores, 0.2), [[1, 1, 7, 7], [8, 8, 10, 10]])
    assert figures.boxes_above(np.zeros_like(scores), 0.2).shape == (0, 4)


def test_box_accuracies_are_those_of_loops():
    generator = np.random.default_rng(1)
    maps = smooth(generator, 4, 20, 24)
    boxes = [np.array([box for box, _ in filled(own > 0.6)][:2], float) for own in maps]
    boxes = [own + generator.integers(0, 2, own.shape) * [-0.25, -0.25, 0, 0] for own in boxes]
    boxes = [np.maximum(own, 0) for own in boxes]  # edges that are those of no pixel
    found = figures.map_overlaps(maps, boxes)
    right = {key: np.zeros((len(THRESHOLDS), 4)) for key in ("v1", *OVERLAPS)}
    for place, threshold in enumerate(THRESHOLDS):
        for number, (scores, own) in enumerate(zip(maps, boxes, strict=True)):
            known = filled(scores > threshold)
            fits = [max(by_pixels(box, each) for each in own) for box, _ in known]
            areas = [area for _, area in known]
            if areas.count(max(areas)) == 1:
                largest = fits[int(np.argmax(areas))]
                assert found.largest[number, place] == pytest.approx(largest)
            right["v1"][place, number] = found.largest[number, place] >= 0.5
            for least in OVERLAPS:
                right[least][place, number] = max(fits) >= least
    oracle = figures.box_accuracy(found, found)
    assert 0 < oracle.v1 == right["v1"].mean(1).max()
    assert oracle.v2 == pytest.approx(np.mean([right[each].mean(1).max() for each in OVERLAPS]))
    half = [Overlaps(*(each[part] for each in found)) for part in (slice(2), slice(2, 4))]
    chosen = right["v1"][:, :2].mean(1).argmax()
    assert figures.box_accuracy(half[1], half[0]).v1 == right["v1"][chosen, 2:].mean()


def test_a_box_in_the_middle_is_scored_as_any():
    boxes = [np.array([[4.0, 5, 18, 15]]), np.array([[0.0, 0, 3, 4], [2, 2, 20, 16]])]
    found = figures.centre_overlaps(boxes, 20, 24)
    for place in range(0, 100, 7):
        half = SIDES[place] / 2
        middle = (24 * (0.5 - half), 20 * (0.5 - half), 24 * (0.5 + half), 20 * (0.5 + half))
        for number, own in enumerate(boxes):
            best = max(by_pixels(middle, each) for each in own)
            assert found.best[number, place] == pytest.approx(best, abs=0.02)
    np.testing.assert_array_equal(found.best, found.largest)


def test_average_precision_of_pixels_is_that_of_a_loop():
    generator = np.random.default_rng(2)
    maps = smooth(generator, 5, 12, 9).round(2)  # many are equal
    masks = maps + generator.normal(0, 0.3, maps.shape) > 0.6
    counts = generator.random(maps.shape) > 0.2
    found = figures.pixel_average_precision(maps, masks, counts)
    before, wanted = 0.0, 0.0
    for threshold in sorted(set(maps[counts].tolist()), reverse=True):
        taken = (maps >= threshold) & counts
        recall = (taken & masks).sum() / (masks & counts).sum()
        wanted += (recall - before) * (taken & masks).sum() / taken.sum()
        before = recall
    assert found == pytest.approx(wanted)
    scores = np.array([[[0.9, 0.8, 0.8, 0.1]]], np.float32)
    inside = np.array([[[True, True, False, False]]])
    everywhere = np.ones_like(inside)
    assert figures.pixel_average_precision(scores, inside, everywhere) == pytest.approx(5 / 6)
    assert figures.pixel_average_precision(scores, inside, scores != np.float32(0.8)) == 1
    with pytest.raises(PlaceError, match="no pixel that counts is of a thing"):
        figures.pixel_average_precision(scores, ~everywhere, everywhere)


def test_a_gaussian_of_any_width_ranks_pixels_alike():
    made = figures.centred_gaussian(6, 9)
    rows, columns = np.mgrid[:6, :9]
    apart = ((rows - 2.5) / 6) ** 2 + ((columns - 4) / 9) ** 2
    np.testing.assert_allclose(made, np.exp(-8 * apart), rtol=1e-5)
    assert made.max() == made[2, 4]


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        (np.zeros((0, 4)), "has no box"),
        (np.array([[1.0, 1, 11, 5]]), r"outside of its map of 10 x 10: \[\[1.0, 1.0, 11"),
        (np.array([[1.0, 1, 1, 5]]), "has no area"),
    ],
)
def test_boxes_that_nothing_could_fit_are_refused(boxes, said):
    with pytest.raises(PlaceError, match=said):
        figures.map_overlaps([np.zeros((10, 10), np.float32)], [boxes])
    with pytest.raises(PlaceError, match=said):
        figures.centre_overlaps([boxes], 10, 10)
