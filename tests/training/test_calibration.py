"""Calibrated norms: measured on each task's images before the first step, then left alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.patches.registry import from_spec
from adapters.training.calibration import BATCHES, calibrated
from adapters.training.forward import mixed_forward
from tests import narrow
from tests.training.test_loop import Numbered
from tests.training.test_step import batch, make

PATCH = from_spec("scale_bias", "calibrated")


class Repeating:
    """The same two images for ever."""

    def __init__(self, task):
        self.image = narrow.images(1, 2, seed=task)[0][0]

    def __getitem__(self, number):
        return {"image": self.image}


@pytest.fixture(scope="module")
def trained():
    return make(norm="calibrated")


def start(trained, streams):
    backbone, heads = narrow.BACKBONE, narrow.HEADS
    made = calibrated(trained, backbone, PATCH, heads, narrow.PIXELS, streams)
    return made.init(jax.random.key(0), narrow.weights())


def measured(state):
    return jax.tree.map(np.asarray, state.patches.measured)


def stem_outputs(images):
    """The first layer: 3 x 3 with stride 2, [E, 32, 32, 3] pixels to [E, 16, 16, 8]."""
    padded = np.pad(images / 127.5 - 1, ((0, 0), (0, 1), (0, 1), (0, 0)))
    kernel = np.asarray(narrow.weights()["stem"]["w"], np.float64)
    return sum(
        padded[:, row : row + 32 : 2, column : column + 32 : 2] @ kernel[row, column]
        for row in range(3)
        for column in range(3)
    )


def test_statistics_are_averages_over_batches_of_the_moments_of_each(trained):
    state = start(trained, [Numbered(task) for task in range(3)])
    (norms,) = (part for part in measured(state) if part)
    for task in range(3):
        seeds = [1000 * task + number for number in range(BATCHES)]
        outputs = [stem_outputs(narrow.images(1, 2, seed)[0][0]) for seed in seeds]
        means = np.mean([one.mean((0, 1, 2)) for one in outputs], axis=0)
        variances = np.mean([one.var((0, 1, 2)) for one in outputs], axis=0)
        found = norms["stem/norm"]
        np.testing.assert_allclose(found["mean"][task], means, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found["var"][task], variances, rtol=1e-4)


def test_every_norm_measures_what_it_sees_below_norms_that_use_the_batch(trained):
    """Of one batch repeated, the statistics are its moments: both modes then answer alike."""
    batches = [Repeating(task) for task in range(3)]
    state = start(trained, batches)
    head = narrow.disturbed(narrow.head(state), 5)
    images = narrow.normalised(np.stack([one.image for one in batches]))
    logits = {}
    for mode in ("calibrated", "batch"):
        forward = jax.jit(mixed_forward(narrow.BACKBONE, PATCH, narrow.LAYOUT, mode))
        logits[mode] = forward(
            narrow.weights(),
            state.patches,
            {"": head},
            np.arange(3, dtype=np.int32),
            {"image": images},
            jax.random.split(jax.random.key(0), images.shape[:2]),
            jnp.zeros(()),
        ).own["logits"]
    np.testing.assert_allclose(logits["calibrated"], logits["batch"], rtol=1e-4, atol=1e-4)


def test_a_task_s_statistics_come_from_its_own_images_alone(trained):
    others = [[Numbered(task) for task in (0, other, 2)] for other in (1, 7)]
    first, second = (jax.tree.leaves(measured(start(trained, streams))) for streams in others)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[[0, 2]], two[[0, 2]])
        assert (one[1] != two[1]).any()


def test_training_leaves_the_statistics_as_they_were_measured(trained):
    state = start(trained, [Numbered(task) for task in range(3)])
    before, scale_bias = measured(state), jax.tree.map(np.asarray, state.patches.trained)
    for _ in range(3):  # the first has rate 0, the second zero heads
        state, _ = trained.step(state, narrow.weights(), batch(), jax.random.key(1))
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(measured(state)), strict=True):
        assert old.tobytes() == new.tobytes()
    moved = jax.tree.map(lambda old, new: (old != new).any(), scale_bias, state.patches.trained)
    assert all(jax.tree.leaves(moved))
