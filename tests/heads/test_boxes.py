"""Anchors, boxes and suppression, against torchvision's own and against brute force."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.errors import UnknownNameError
from adapters.heads.detection import anchors, boxes, fixed_suppression, suppression
from tests.golden import closed_formula, detection_formula

GOLDENS = json.loads(pathlib.Path(closed_formula.__file__).with_name("detection.json").read_text())
COUNT = 300
BOXES = detection_formula.boxes("suppression", COUNT)
SCORES = detection_formula.scores("suppression", COUNT)
CLASSES = detection_formula.classes("suppression", COUNT, 5)


@pytest.mark.parametrize(
    ("convention", "grids", "total"),
    [("tensorflow", (19, 10, 5, 3, 2, 1), 1917), ("torchvision", (20, 10, 5, 3, 2, 1), 3234)],
)
def test_there_are_as_many_anchors_as_published(convention, grids, total):
    sides = anchors.sides_of(convention, 6, 0.2, 0.95)
    assert anchors.placed(sides, [(grid, grid) for grid in grids]).shape == (total, 4)


def test_a_pyramid_has_as_many_anchors_as_published():
    """The smaller square of level 3 has sides of 4 * 8 pixels, the larger of sqrt(2) times that."""
    found = anchors.placed(
        anchors.octaves(range(3, 8), 320), [(side, side) for side in (40, 20, 10, 5, 3)]
    )
    assert found.shape == (12804, 4)
    sides = (found[:, 2:] - found[:, :2]) * 320
    np.testing.assert_allclose(sides[[0, 3]], [[32, 32], [45.2548, 45.2548]], rtol=1e-5)
    octaves = np.log2(sides.prod(axis=1) / 32**2)
    np.testing.assert_allclose(octaves, np.round(octaves), atol=1e-3)
    assert np.round(octaves).max() == 9


def test_anchors_are_torchvisions():
    sides = anchors.sides_of("torchvision", 6, 0.2, 0.95)
    found = anchors.placed(sides, [(side, side) for side in (20, 10, 5, 3, 2, 1)])
    np.testing.assert_allclose(found.ravel()[::97], GOLDENS["ssdlite"]["anchors"], atol=1e-6)


def test_tensorflow_has_three_anchors_in_the_first_map_s_cells():
    """All are those whose scales and ratios stand in a frozen graph of its SSDLite."""
    found = anchors.sides_of("tensorflow", 6, 0.2, 0.95)
    ratios, last_scales = [1, 2, 0.5, 3, 0.3333, 1], [0.41833, 0.57009, 0.72111, 0.87178, 0.97468]
    for own, scale, last in zip(found[1:], (0.35, 0.5, 0.65, 0.8, 0.95), last_scales, strict=True):
        wide, high = np.array(own).T
        np.testing.assert_allclose(wide / high, ratios, rtol=1e-3)
        np.testing.assert_allclose(np.sqrt(wide * high), [scale] * 5 + [last], rtol=1e-5)
    first, *_, last = found
    np.testing.assert_allclose(
        first, [(0.1, 0.1), (0.282843, 0.141421), (0.141421, 0.282843)], 1e-5
    )
    np.testing.assert_allclose(last[0], (0.95, 0.95))
    np.testing.assert_allclose(last[-1], [0.974679] * 2, 1e-5)
    with pytest.raises(UnknownNameError, match="tensorfow"):
        anchors.sides_of("tensorfow", 6, 0.2, 0.95)


def test_overlaps_are_the_pixels_that_boxes_share():
    """Of boxes on whole pixels, counted one by one; JAX gives the same."""
    generator = np.random.default_rng(0)
    corners = generator.integers(0, 12, (2, 9, 2))
    drawn = np.concatenate([corners, corners + generator.integers(0, 9, (2, 9, 2))], axis=-1)
    these, those = drawn.astype(np.float32)
    masks = np.zeros((2, 9, 21, 21), bool)
    for place in np.ndindex(2, 9):
        left, top, right, bottom = drawn[place]
        masks[place][top:bottom, left:right] = True
    shared = (masks[0][:, None] & masks[1][None]).sum((2, 3))
    either = (masks[0][:, None] | masks[1][None]).sum((2, 3))
    wanted = shared / np.maximum(either, 1)
    assert wanted.max() > 0.3
    np.testing.assert_allclose(boxes.overlaps(these, those), wanted, rtol=1e-6)
    np.testing.assert_allclose(
        boxes.overlaps(jnp.asarray(these), jnp.asarray(those)), wanted, rtol=1e-6
    )


@pytest.mark.parametrize("made", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_offsets_are_torchvisions_and_lead_back(made):
    own, around = (made(detection_formula.boxes(name, 10)) for name in ("boxes", "anchors"))
    offsets = boxes.encoded(own, around)
    golden = GOLDENS["coding"]
    np.testing.assert_allclose(np.ravel(offsets), golden["encoded"], rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(boxes.decoded(offsets, around), own, atol=1e-6)
    noise = made(30 * closed_formula.noise("offsets", (10, 4)))
    found = boxes.decoded(noise, around)
    np.testing.assert_allclose(np.ravel(found), golden["decoded"], rtol=1e-4, atol=1e-4)


COMPILED = jax.jit(fixed_suppression.kept, static_argnums=3)


def fixed(classes, threshold, most=COUNT):
    order, stay = COMPILED(BOXES, SCORES, classes.astype(np.int32), most, np.float32(threshold))
    return np.asarray(order)[np.asarray(stay)].tolist()


@pytest.mark.parametrize("threshold", detection_formula.THRESHOLDS)
def test_suppression_keeps_what_torchvision_keeps(threshold):
    """Of one class and of five, in NumPy and compiled; both lists are the surest first."""
    golden = GOLDENS["suppression"][str(threshold)]
    assert len(golden["one"]) < len(golden["five"]) < COUNT
    assert suppression.kept(BOXES, SCORES, threshold).tolist() == golden["one"]
    assert suppression.kept(BOXES, SCORES, threshold, CLASSES).tolist() == golden["five"]
    assert fixed(np.zeros(COUNT), threshold) == golden["one"]
    assert fixed(CLASSES, threshold) == golden["five"]


def test_suppression_of_the_surest_alone_is_the_beginning():
    """As many as fit are looked at; no box beyond them changes what they are told."""
    found = fixed(CLASSES, 0.3, most=40)
    wanted = suppression.kept(BOXES, SCORES, 0.3, CLASSES)
    assert 20 < len(found) < 40
    assert found == wanted[: len(found)].tolist()


def test_of_no_boxes_none_stay():
    nothing = np.zeros((0, 4), np.float32)
    assert suppression.kept(nothing, nothing[:, 0], 0.5).tolist() == []
