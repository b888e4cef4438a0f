"""Which anchor has which object, and the losses of that, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.heads.detection import losses, matching

ANCHORS = np.array(
    [[0, 0, 0.4, 0.4], [0.1, 0, 0.5, 0.4], [0.5, 0.5, 0.9, 0.9], [0, 0.6, 0.2, 0.8]], np.float32
)


def matches(objects):
    boxes = np.array([*objects, [0, 0, 0, 0]], np.float32)  # a row that only fills up
    real = np.arange(len(boxes)) < len(objects)
    return jax.jit(matching.matches)(ANCHORS, boxes, real).tolist()


def test_an_anchor_has_the_object_that_it_overlaps_by_half():
    """The second anchor overlaps the object by 0.6, the others less."""
    assert matches([[0, 0, 0.4, 0.4]]) == [0, 0, -1, -1]
    assert matches([[0, 0, 0.4, 0.4], [0.1, 0, 0.5, 0.4]]) == [0, 1, -1, -1]


def test_every_object_has_an_anchor_however_small_it_is():
    assert matches([[0.6, 0.6, 0.65, 0.65]]) == [-1, -1, 0, -1]
    # Its best anchor would have had the larger object.
    assert matches([[0, 0, 0.4, 0.4], [0.12, 0.12, 0.2, 0.2]])[0] == 1


def test_of_two_objects_with_one_best_anchor_the_last_has_it():
    assert matches([[0.55, 0.55, 0.6, 0.6], [0.7, 0.7, 0.75, 0.75]]) == [-1, -1, 1, -1]


def test_an_image_without_objects_has_no_match():
    assert matches([]) == [-1, -1, -1, -1]


def test_the_worst_three_of_nothing_are_mined_for_each_object():
    costs = jnp.array([0.5, 9.0, 1.0, 4.0, 3.0, 2.0], jnp.float32)
    one = jnp.array([True, False, False, False, False, False])
    assert losses.mined_loss(costs, one) == pytest.approx(0.5 + 9 + 4 + 3)
    assert losses.mined_loss(costs, jnp.zeros(6, bool)) == pytest.approx(9 + 4 + 3)
    two = one.at[1].set(True)
    assert losses.mined_loss(costs, two) == pytest.approx((0.5 + 9 + 4 + 3 + 2 + 1) / 2)


def test_a_box_costs_by_its_distance_where_there_is_an_object():
    offsets = jnp.array([[0.0, 0.5, 2.0, 0.0], [9.0, 9.0, 9.0, 9.0]], jnp.float32)
    positive = jnp.array([True, False])
    found = losses.box_loss(offsets, jnp.zeros((2, 4), jnp.float32), positive)
    assert found == pytest.approx(0.125 + 1.5)
    assert losses.box_loss(offsets, offsets * 0, positive & False) == 0


def test_focal_loss_is_the_paper_s_sum_over_anchors_with_an_object():
    """-alpha_t (1 - p_t)**2 log p_t, and the cross-entropy where neither alpha nor gamma weighs."""
    logits = np.random.default_rng(0).normal(0, 2, (7, 3)).astype(np.float32)
    wanted = (np.random.default_rng(1).random((7, 3)) < 0.3).astype(np.float32)
    positive = wanted.any(axis=1)
    share = 1 / (1 + np.exp(-logits))
    right = np.where(wanted > 0, share, 1 - share)
    alpha = np.where(wanted > 0, 0.25, 0.75)
    total = -(alpha * (1 - right) ** 2 * np.log(right)).sum() / positive.sum()
    found = losses.focal_loss(jnp.asarray(logits), jnp.asarray(wanted), jnp.asarray(positive))
    assert found == pytest.approx(total, rel=1e-5)
