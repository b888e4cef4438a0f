"""Our side of a benchmark, on the narrow backbone."""

import dataclasses
import subprocess
import sys

import jax
import numpy as np
import pytest

from adapters.backbones import builder, registry
from adapters.benchmarking import (
    cases,
    compilations,
    ours,
    ours_processes,
    ours_training,
    stand_ins,
)
from adapters.benchmarking.cases import Case
from adapters.heads.wide import MASKED
from tests import narrow

CASE = Case("inference", "narrow", narrow.SIZE, 4)
NORM_CHANNELS = 8 + (8 + 8) + (16 + 16 + 12) + (24 + 24 + 12) + 16


@pytest.fixture(autouse=True)
def narrow_is_known(monkeypatch):
    monkeypatch.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)


def run(case):
    prepared = ours.prepare(case)
    prepared.run()
    prepared.run()
    return prepared.facts()


def test_inference_costs_at_least_its_multiply_adds():
    four, eight = run(CASE), run(dataclasses.replace(CASE, examples=8))
    # Sides 16 after the stem and 8 after the stride; kernels of 3, 3 and 5.
    multiply_adds = 256 * (27 * 8 + 9 * 8 + 8 * 8 + 8 * 16)
    multiply_adds += 64 * (25 * 16 + 16 * 12 + 2 * 12 * 24 + 9 * 24 + 12 * 16)
    assert 1.0 < four["flops"] / (4 * 2 * multiply_adds) < 1.6
    assert eight["flops"] / four["flops"] == pytest.approx(2, rel=0.02)
    assert four["temp memory"] > 0


def test_a_block_alone_gives_what_it_gives_in_the_network():
    case = dataclasses.replace(CASE, work="block", block="block_02")
    assert ours.prepare(case).run().shape == (4, 8, 8, 12)


def test_a_row_that_a_route_leaves_gives_what_it_should():
    row = "inverted_residual(inputs=12, outputs=12, kernel=3, expanded=16, activation=relu6)"
    case = dataclasses.replace(CASE, work="row", size=8, row=row)
    assert ours.prepare(case).run().shape == (4, 8, 8, 12)


def test_what_follows_a_look_gives_features():
    patch = "basisnet(preview=narrow, preview_size=16, spread=3.0)"
    case = dataclasses.replace(CASE, work="finish", patch=patch)
    features = ours.prepare(case).run()
    assert features.shape == (4, 16)
    assert np.isfinite(features).all()


@pytest.mark.parametrize(("spec", "own"), [("bias", 1), ("scale_bias", 2)])
def test_a_training_step_says_how_many_values_it_trains(spec, own):
    facts = run(dataclasses.replace(CASE, work="training", patch=spec))
    head = (16 + 1) * cases.CLASSES
    assert facts["values trained"] == own * NORM_CHANNELS + head
    assert facts["temp memory"] > 0


def test_a_step_in_bfloat16_is_of_another_program():
    case = dataclasses.replace(CASE, work="training", patch="bias", steps=2)
    exact, mixed = run(case), run(dataclasses.replace(case, precision="bfloat16"))
    assert exact["values trained"] == mixed["values trained"]
    assert exact["temp memory"] != mixed["temp memory"]


def test_products_are_rounded_on_a_gpu_as_asked():
    for precision, wanted in [("float32", "highest"), ("tf32", "tensorfloat32")]:
        with ours.products(dataclasses.replace(CASE, platform="gpu", precision=precision)):
            assert jax.config.jax_default_matmul_precision == wanted
    with ours.products(CASE):
        assert jax.config.jax_default_matmul_precision is None


def test_a_rule_is_timed_on_a_step_that_trains_shared_weights_too():
    case = dataclasses.replace(CASE, work="training", patch="bias", groups=2, tasks=2)
    made = ours_training.prepare(dataclasses.replace(case, rule="achievement"), jax.devices()[:1])
    shared = sum(leaf.size for leaf in jax.tree.leaves(made.state.shared))
    assert shared == builder.count_parameters(narrow.TABLE)
    assert jax.tree.leaves(made.state.scheduling)


def test_processes_do_a_step_together_and_one_that_ends_is_said(monkeypatch):
    answers = "import sys\nprint(flush=True)\nfor line in sys.stdin: print(flush=True)"
    started = []

    def start(case, port, index):
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", answers],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    monkeypatch.setattr(ours_processes, "_started", start)
    prepared = ours_processes.together(dataclasses.replace(CASE, work="processes", processes=2))
    prepared.run()
    del prepared
    assert [process.returncode for process in started] == [0, 0]
    answers = "print(flush=True)"
    prepared = ours_processes.together(dataclasses.replace(CASE, work="processes", processes=1))
    started[-1].wait()
    with pytest.raises(ours_processes.ProcessEndedError):
        prepared.run()


def test_a_training_step_of_mixed_tasks_trains_all_of_them():
    case = dataclasses.replace(CASE, work="training", patch="bias", groups=4, tasks=2)
    assert run(case)["values trained"] == 2 * (NORM_CHANNELS + (16 + 1) * cases.CLASSES)


def test_a_mixed_forward_gives_every_example_its_own_task_s_logits():
    case = dataclasses.replace(CASE, work="forward", patch="bias", groups=4, tasks=2)
    logits = ours.prepare(case).run().own["logits"]
    own = np.asarray(logits[:, 0]) > MASKED
    np.testing.assert_array_equal(own.argmax(axis=1), [0, 10, 0, 10])
    np.testing.assert_array_equal(own.sum(axis=1), [10, 10, 10, 10])


def test_a_swap_compiles_nothing():
    facts = run(dataclasses.replace(CASE, work="swap", patch="scale_bias", examples=1))
    assert facts["programs compiled after"] == 0


def test_training_input_draws_its_batches():
    images = ours.prepare(dataclasses.replace(CASE, work="input", examples=8, groups=2))
    first, second = images.run(), images.run()
    assert [batch["image"].shape for batch in first] == [(4, narrow.SIZE, narrow.SIZE, 3)] * 2
    assert any((a["image"] != b["image"]).any() for a, b in zip(first, second, strict=True))


def test_the_counter_counts_programs_once():
    offset = np.random.default_rng().integers(2**31)  # a program nobody has compiled before
    function = jax.jit(lambda x: x * 2 + offset)
    compiled = compilations.counter()
    function(np.arange(3))
    assert compiled() == 1
    function(np.arange(3))
    assert compiled() == 1
    function(np.arange(4))
    assert compiled() == 2


def test_stand_in_weights_have_every_shape_and_keep_activations_finite():
    weights = stand_ins.weights(narrow.TABLE)
    shapes = jax.tree.map(np.shape, narrow.weights())
    assert jax.tree.map(np.shape, weights) == shapes
    image = np.ones((narrow.SIZE, narrow.SIZE, 3), np.float32)
    features = np.asarray(narrow.BACKBONE.apply(weights, image).features)
    assert np.isfinite(features).all()
    assert np.abs(features).max() > 1e-3
