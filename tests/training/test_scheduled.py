"""Rules in the step: gradients told apart by task, weights that count, state that resumes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.scheduling.contract import SchedulingError, Tasks
from adapters.scheduling.registry import scheduling
from adapters.training import checkpoint, gradients, loop, metrics
from adapters.training.scheduled import signals, told_apart
from tests import narrow
from tests.training.test_loop import Killed, arguments, bits
from tests.training.test_step import batch, make, steps

TASKS = Tasks((9, 9, 9), narrow.CLASSES, ("classification",) * 3, images=100)


def kernels(path, name, leaf):
    return name == "w"


@pytest.fixture(scope="module")
def scheduled():
    """A trainer of shared kernels that weighs by `balanced`, from the start, and combines."""
    return make(shared=kernels, scheduling=scheduling("balanced(start=0.0)", "pcgrad", TASKS))


def linear():
    """Losses of four groups of two, of three tasks, by hand: (losses, trained, features, tasks)."""
    generator = np.random.default_rng(0)
    features = jnp.asarray(generator.normal(size=(4, 2, 5)), jnp.float32)
    tasks = jnp.asarray([0, 2, 0, 1])
    shared = {"a": {"w": jnp.ones(5)}, "b": {"w": jnp.ones(2), "v": jnp.zeros(2)}}
    private = jnp.arange(3.0)

    def losses(trained, by_group, examples):
        own, _, together = trained

        def one(group, features, task):
            leaves = {
                path: {**together.get(path, {}), **group.get(path, {})} for path in ("a", "b")
            }
            scaled = leaves["b"]["w"][0] * leaves["b"]["w"][1] + jnp.sum(leaves["b"]["v"])
            return (leaves["a"]["w"] @ features * scaled - own[task]) ** 2

        found = jax.vmap(jax.vmap(one, (None, 0, None)))(by_group, examples, tasks)
        return jnp.mean(found, axis=1), jnp.mean(examples)

    return losses, (private, {}, shared), features, tasks


def test_gradients_told_apart_are_those_of_each_task_alone():
    losses, trained, features, tasks = linear()

    def second_alone(products, key):
        return jnp.asarray([0.0, 2.0, 0.0])

    def find(apart, combine, portions):
        def found(trained):
            rule = combine, jax.random.key(0)
            return gradients.find(losses, trained, features, portions, apart, tasks, 3, *rule)

        gradient, beside, products = jax.jit(found)(trained)
        np.testing.assert_allclose(beside, features.mean(), rtol=1e-5)
        return gradient, products

    (whole, none), (apart, products) = find({}, None, 1), find(trained[2], None, 2)
    for expected, found in zip(*map(jax.tree.leaves, (whole, apart)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert not np.any(none)

    @jax.jit
    def of_task(task):
        def own(shared):
            found, _ = losses((trained[0], {}, shared), {}, features)
            return jnp.sum(jnp.where(tasks == task, found, 0)) / 4

        return flat(jax.grad(own)(trained[2]))

    by_task = np.stack([of_task(task) for task in range(3)])
    np.testing.assert_allclose(products, by_task @ by_task.T, rtol=1e-4)
    chosen, _ = find(trained[2], second_alone, 1)
    np.testing.assert_allclose(flat(chosen[2]), 2 * by_task[1], rtol=1e-5)
    np.testing.assert_allclose(chosen[0], whole[0], rtol=1e-6)  # what tasks own keeps its own


def flat(tree):
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def test_only_the_last_trained_kernel_is_compared_for_lengths():
    rule = scheduling("gradnorm", "sum", TASKS)
    shared = {path: leaves for path, leaves in narrow.weights().items() if "w" in leaves}
    assert list(told_apart(rule, shared, narrow.TABLE)) == ["tail"]
    del shared["tail"]
    assert list(told_apart(rule, shared, narrow.TABLE)) == ["block_03/project"]
    with pytest.raises(SchedulingError, match="no layer is"):
        told_apart(rule, {}, narrow.TABLE)
    assert told_apart(scheduling("balanced", "sum", TASKS), shared, narrow.TABLE) == {}


def test_signals_are_means_over_a_tasks_groups():
    rule = scheduling("gradnorm", "sum", TASKS)
    tasks, losses = jnp.asarray([2, 0, 2, 2]), jnp.asarray([1.0, 5.0, 2.0, 3.0])
    products = jnp.diag(jnp.asarray([4.0, 0.0, 9.0]))
    found = signals(rule, tasks, 3, losses, {"accuracy": losses / 10}, products)
    np.testing.assert_array_equal(found.present, [True, False, True])
    np.testing.assert_allclose(found.losses, [5, 0, 2])
    np.testing.assert_allclose(found.accuracies, [0.5, 0, 0.2])
    np.testing.assert_allclose(found.norms, [2 * 4 / 1, 0, 3 * 4 / 3])


def test_a_batch_of_one_task_is_combined_as_it_is_added(scheduled):
    """Through the network: group by group on its own kernels, and all groups on the same."""
    one = batch((1, 1, 1, 1))
    found = steps(scheduled, [one])[0]
    plain = steps(make(shared=kernels), [one])[0]
    for path, leaves in plain.shared.items():
        moments = [state.optimisers[2][0].mu for state in (found, plain)]
        np.testing.assert_allclose(*moments, rtol=1e-3, atol=1e-7)
        np.testing.assert_allclose(found.shared[path]["w"], leaves["w"], atol=1e-4)
    assert plain.scheduling.tolist() == [1, 1, 1]


def test_weights_act_on_what_is_shared_and_are_told(scheduled):
    _, first = steps(scheduled, [batch()])
    np.testing.assert_array_equal(first.figures["weight"], np.ones(4))
    state, later = steps(scheduled, [batch(seed=seed) for seed in range(12)])
    expected = scheduled_weights(state, later)
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(later.figures["weight"], expected, atol=0.1)
    _, plain = steps(make(), [batch((0, 2, 0, 0))])
    assert "weight" not in plain.figures
    np.testing.assert_array_equal(plain.figures["share"], [0.75, 0.25, 0.75, 0.75])


def scheduled_weights(state, metrics):
    rule = scheduling("balanced(start=0.0)", "sum", TASKS).weighting
    return np.asarray(rule.weights(state.scheduling, jnp.float32(12 / 20)))[[0, 2, 1, 0]]


def test_a_scheduled_run_resumes_to_the_same_bytes(scheduled, tmp_path):
    def run(directory, before=lambda number: None):
        return loop.train(scheduled, *arguments(directory, before)[1:])

    def kill(number):
        if number == 6:
            raise Killed

    expected = bits(run(tmp_path / "whole"))
    with pytest.raises(Killed):
        run(tmp_path / "killed", kill)
    assert checkpoint.latest(tmp_path / "killed" / "checkpoints") == 5
    assert bits(run(tmp_path / "killed")) == expected
    logged = metrics.read(tmp_path / "killed" / "metrics.jsonl")
    assert any("train/weight/a" in record.values for record in logged)


def test_heads_without_accuracy_are_refused_by_rules_that_read_it():
    rule = scheduling("balanced", "sum", Tasks((9, 9), (1, 1), ("regression",) * 2))
    with pytest.raises(SchedulingError, match="only classifiers tell") as refused:
        signals(rule, jnp.asarray([0, 1]), 2, jnp.ones(2), {}, jnp.zeros((2, 2)))
    assert refused.value.settings == ("scheduler",)
