"""The training step: devices, absent tasks, shared weights, statistics."""

import dataclasses

import jax
import numpy as np
import pytest

from adapters.patches.registry import from_spec
from adapters.training import portions
from adapters.training.forward import Predictions
from adapters.training.losses import loss_of
from adapters.training.recipe import Recipe
from adapters.training.step import StatisticsMissingError, TaskIdError, trainer
from tests import narrow

RECIPE = Recipe(steps=20, patch_rate=1e-2, head_rate=1e-2, shared_rate=1e-2, head_decay=1e-3)


def nothing(path, name, leaf):
    return False


def make(
    spec="scale_bias",
    devices=1,
    shared=nothing,
    scheduling=None,
    backbone=narrow.BACKBONE,
    pixels=narrow.PIXELS,
    **changes,
):
    recipe = dataclasses.replace(RECIPE, **changes)
    patch = from_spec(spec, recipe.norm)
    mesh = narrow.mesh(devices)
    return trainer(*(backbone, patch, narrow.HEADS, recipe, pixels, mesh, shared, scheduling))


def batch(tasks=(0, 2, 1, 0), seed=0):
    pixels, labels = narrow.images(len(tasks), 2, seed)
    return narrow.batch(tasks, pixels, labels)


def steps(made, batches):
    state = made.init(jax.random.key(0), narrow.weights())
    for one in batches:
        state, metrics = made.step(state, narrow.weights(), one, jax.random.key(1))
    return state, metrics


@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_two_devices_agree_with_one(norm, monkeypatch):
    """After a step from heads that are not zero: losses, and gradients as Adam's first moments.

    The one takes its images in two portions, where norms let it.
    """
    monkeypatch.setattr(portions, "_PIXELS", 4 * narrow.SIZE**2)
    found = []
    for devices in (1, 2):
        made = make(norm=norm, devices=devices, warmup=0.0)
        state = made.init(jax.random.key(0), narrow.weights())
        state = state._replace(
            heads=jax.device_put(narrow.disturbed(state.heads, 5), state.step.sharding)
        )
        state, metrics = made.step(state, narrow.weights(), batch(), jax.random.key(1))
        assert len(narrow.head(state)["w"].sharding.device_set) == devices
        patches, heads, _ = state.optimisers
        moments = [optimiser[0].mu for optimiser in (patches, heads["classification"])]
        found.append(jax.tree.leaves((metrics, moments)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_moving_statistics_need_a_patch_that_keeps_them():
    made = trainer(
        narrow.BACKBONE,
        from_spec("scale_bias"),
        narrow.HEADS,
        dataclasses.replace(RECIPE, norm="ema"),
        narrow.PIXELS,
        narrow.mesh(),
    )
    with pytest.raises(StatisticsMissingError, match="statistics"):
        made.init(jax.random.key(0), narrow.weights())


def test_the_same_seed_gives_the_same_bytes():
    first, second = (steps(make(), [batch(), batch(seed=1)])[0] for _ in range(2))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_an_absent_task_keeps_parameters_state_and_count():
    made = make(norm="ema")
    start = made.init(jax.random.key(0), narrow.weights())
    before = jax.tree.map(np.asarray, start)
    after, _ = made.step(start, narrow.weights(), batch((0, 2, 0, 2)), jax.random.key(1))
    rows = narrow.LAYOUT.rows(1)
    for old, new in zip(
        jax.tree.leaves(before.patches), jax.tree.leaves(after.patches), strict=True
    ):
        np.testing.assert_array_equal(old[1], new[1])
    old_head, new_head = (np.asarray(narrow.head(each)["w"]) for each in (before, after))
    np.testing.assert_array_equal(old_head[rows], new_head[rows])
    counts = after.optimisers[0][0].count, after.optimisers[1]["classification"][0].count
    assert counts[0].tolist() == [1, 0, 1]
    assert counts[1].tolist() == [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]


def test_loss_falls_when_a_batch_is_repeated():
    made = make()
    first = steps(make(), [batch()])[1]
    last = steps(made, [batch()] * 20)[1]
    assert (np.asarray(last.loss) < np.asarray(first.loss)).all()
    np.testing.assert_allclose(first.loss, np.log([3, 5, 2, 3]), rtol=1e-5)  # zero heads


def test_statistics_follow_the_moments_of_the_tasks_own_images():
    made = make("head_only", norm="ema", statistics_decay=0.5)
    state, _ = steps(made, [batch((0, 2, 0, 2))])
    (measured,) = (part for part in state.patches.measured if part)
    stem = narrow.weights()["stem"]["w"]
    pixels = narrow.normalised(batch((0, 2, 0, 2)).inputs["image"])
    convolved = jax.lax.conv_general_dilated(
        pixels[::2].reshape(-1, 32, 32, 3),
        stem,
        (2, 2),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    old = narrow.weights()["stem/norm"]
    for name, moment in (("mean", convolved.mean((0, 1, 2))), ("var", convolved.var((0, 1, 2)))):
        expected = 0.5 * np.asarray(old[name]) + 0.5 * np.asarray(moment)
        np.testing.assert_allclose(measured["stem/norm"][name][0], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(measured["stem/norm"][name][1], old[name])


def test_shared_weights_move_only_when_asked():
    made = make(shared=lambda path, name, leaf: name == "w")
    state, _ = steps(made, [batch()] * 3)  # the first has rate 0, the second zero heads
    assert set(state.shared) == {p for p, leaves in narrow.weights().items() if "w" in leaves}
    moved = state.shared["stem"]["w"] != narrow.weights()["stem"]["w"]
    assert moved.any()
    assert steps(make(), [batch()])[0].shared == {}


@pytest.mark.parametrize("tasks", [(0, 1, 2, 3), (-1, 0, 1, 2)])
def test_a_task_id_outside_the_tables_is_refused(tasks):
    made = make()
    state = made.init(jax.random.key(0), narrow.weights())
    with pytest.raises(TaskIdError, match=r"0\.\.2"):
        made.step(state, narrow.weights(), batch(tasks), jax.random.key(1))


def test_other_tasks_and_other_patches_compile_nothing():
    traces = []
    patch = from_spec("scale_bias")

    def counted(weights, params, context):
        traces.append(context)
        return patch.apply(weights, params, context)

    made = trainer(
        narrow.BACKBONE,
        patch._replace(apply=counted),
        narrow.HEADS,
        RECIPE,
        narrow.PIXELS,
        narrow.mesh(),
    )
    state = made.init(jax.random.key(0), narrow.weights())
    state, _ = made.step(state, narrow.weights(), batch((0, 2, 1, 0)), jax.random.key(1))
    traced = len(traces)
    assert traced > 0
    others = jax.device_put(narrow.disturbed(state.patches, 3), state.step.sharding)
    state = state._replace(patches=others)
    made.step(state, narrow.weights(), batch((1, 1, 2, 2)), jax.random.key(1))
    assert len(traces) == traced


def test_a_teachers_share_is_annealed_to_nothing():
    """In a line from its share at the first step, beside losses by hand."""
    recipe = dataclasses.replace(RECIPE, distillation=0.8, anneal_distillation=True)
    head = narrow.HEADS.of_kind("classification")
    group_loss = loss_of(head, narrow.LAYOUT, recipe)
    logits = np.log(np.array([[[0.6, 0.3, 0.1] + [0.0] * 7]], np.float32) + 1e-9)
    taught = np.array([[0.1, 0.3, 0.6] + [0.0] * 7], np.float32)
    targets = {"label": np.zeros((1,), np.int32), "teacher": taught}
    predictions = Predictions({"logits": logits[0]}, {}, np.float32(0), {}, {})

    def loss(progress):
        return float(group_loss(np.int32(0), predictions, targets, np.float32(progress))[0])

    smoothed = 0.9 * -np.log(0.6) + 0.1 / 3 * -np.log([0.6, 0.3, 0.1]).sum()
    assert (hard := loss(1.0)) == pytest.approx(smoothed, rel=1e-4)
    soft = -(np.array([0.1, 0.3, 0.6]) * np.log([0.6, 0.3, 0.1])).sum()
    for progress in (0.0, 0.25, 0.5):
        share = 0.8 * (1 - progress)
        assert loss(progress) == pytest.approx(share * soft + (1 - share) * hard, rel=1e-4)
