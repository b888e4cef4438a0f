"""Maps that are matched: distances by hand, and adaptors that move with their own tasks alone."""

import dataclasses

import jax
import numpy as np
import pytest

from adapters.patches.registry import from_spec
from adapters.training import matching
from adapters.training.matching import Matched
from adapters.training.step import trainer
from tests import narrow
from tests.training.test_step import RECIPE, batch

MATCHED = Matched("features", (16, 20))


def by_hand(adaptor, own, teachers):
    """Of each group; maps [G, E, ..., C]."""
    found = []
    for matrix, group, taught in zip(adaptor, own, teachers, strict=True):
        gaps = []
        for image, wanted in zip(group, taught, strict=True):
            adapted = image @ matrix
            gap = adapted / np.linalg.norm(adapted) - wanted / np.linalg.norm(wanted)
            gaps.append((gap**2).sum())
        found.append(np.mean(gaps))
    return found


@pytest.mark.parametrize("sides", [(), (3, 2)])
def test_distances_are_between_maps_of_length_one(sides):
    generator = np.random.default_rng(0)
    own = generator.standard_normal((2, 5, *sides, 16), np.float32)
    teachers = generator.standard_normal((2, 5, *sides, 20), np.float32)
    w = generator.standard_normal((2, 16, 20), np.float32)
    found = matching.distances({"w": w}, own, teachers)
    np.testing.assert_allclose(found, by_hand(w, own, teachers), rtol=1e-5)


def test_adaptors_begin_as_the_identity_and_a_dead_map_is_no_nan():
    own = np.random.default_rng(1).standard_normal((1, 4, 16), np.float32)
    alike = matching.initial(Matched("features", (16, 16)), 1)
    assert float(matching.distances(alike, own, 3 * own)[0]) < 1e-6
    gradient = jax.grad(lambda maps: matching.distances(alike, maps, own)[0])(np.zeros_like(own))
    assert np.isfinite(gradient).all()
    assert matching.initial(None, 3) == {}


def test_a_step_matches_its_own_tasks_maps_and_moves_their_adaptors():
    recipe = dataclasses.replace(RECIPE, feature_matching=0.5, anneal_distillation=True)
    made = trainer(
        *(narrow.BACKBONE, from_spec("scale_bias"), narrow.HEADS, recipe, narrow.PIXELS),
        narrow.mesh(),
        matched=MATCHED,
    )
    wanted = np.random.default_rng(2).standard_normal((2, 2, 20), np.float32)
    one = batch((0, 2))
    one = one._replace(targets={**one.targets, matching.MAP: wanted})
    state = made.init(jax.random.key(0), narrow.weights())
    losses, gaps = [], []
    for _ in range(10):
        state, metrics = made.step(state, narrow.weights(), one, jax.random.key(1))
        losses.append(np.asarray(metrics.loss))
        gaps.append(np.asarray(metrics.figures["matching"]))
    see = jax.vmap(jax.vmap(narrow.BACKBONE.apply, (None, 0)), (None, 0))
    features = np.asarray(see(narrow.weights(), narrow.normalised(one.inputs["image"])).features)
    eye = np.eye(16, 20, dtype=np.float32)
    np.testing.assert_allclose(gaps[0], by_hand([eye, eye], features, wanted), rtol=1e-4)
    # Heads that are still zero say that all of a task's classes are alike.
    np.testing.assert_allclose(losses[0], np.log([3, 5]) + 0.5 * gaps[0], rtol=1e-4)
    assert (gaps[-1] < 0.8 * gaps[0]).all()
    moved = [bool(np.any(own != eye)) for own in np.asarray(state.matching[0]["w"])]
    assert moved == [True, False, True]
