"""Outlines and their pixels, against COCO's own rules as another implementation has them."""

import numpy as np
import pytest

from tasks import outlines

mask = pytest.importorskip("faster_coco_eval.core.mask")


def drawn(strip, height, width):
    whole = np.zeros((width, height), bool)
    whole[strip.first : strip.first + len(strip.mask)] = strip.mask
    return whole.T


def polygon(generator, kind, sides):
    points = generator.uniform(-0.6, 1.6, (generator.integers(3, 12), 2)) * sides
    return (
        lambda: points,
        lambda: np.round(points),
        lambda: np.round(points * 5) / 5,
        lambda: np.clip(points, 0, sides),
    )[kind]()


def test_polygons_and_runs_have_the_pixels_that_coco_gives_them():
    """Bit for bit, of polygons in several parts that cross themselves and reach over the edge."""
    generator = np.random.default_rng(0)
    filled = 0
    for number in range(400):
        height, width = (int(side) for side in generator.integers(1, 60, 2))
        parts = [
            polygon(generator, number % 4, (width, height))
            for _ in range(int(generator.integers(1, 4)))
        ]
        theirs = mask.merge(
            mask.frPyObjects([part.ravel().tolist() for part in parts], height, width)
        )
        expected = mask.decode(theirs).astype(bool)
        ours = outlines.polygons(parts, height, width)
        np.testing.assert_array_equal(drawn(ours, height, width), expected)
        assert ours.area == expected.sum()
        counts = outlines.read_runs(theirs["counts"].decode())
        again = outlines.runs(counts, height, width)
        np.testing.assert_array_equal(drawn(again, height, width), expected)
        filled += expected.any()
    assert filled > 300


def test_odd_runs_are_none():
    assert outlines.read_runs("é") is None
    assert outlines.read_runs("1o") is None  # its last number goes on
    assert outlines.read_runs("oooooooooo1") is None
    assert outlines.runs([1, 2], 2, 2) is None
    assert outlines.runs([6, -2], 2, 2) is None
