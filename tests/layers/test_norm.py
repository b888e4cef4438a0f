"""Norm modes against numpy, with two tasks in one batch."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.errors import UnknownNameError
from adapters.layers.norm import Norm, Normalise

EPSILON = 1e-3
AXES = ("groups", "examples")
network = hk.transform_with_state(lambda x, how: Norm(name="norm")(x, how))


@pytest.fixture
def case():
    """Images [3 groups, 2 examples, 4, 5, 6] of tasks 0, 2, 0 out of three."""
    keys = jax.random.split(jax.random.key(0), 5)
    x = 3 + 2 * jax.random.normal(keys[0], (3, 2, 4, 5, 6))
    weights = {
        "norm": {
            "scale": 1 + jax.random.uniform(keys[1], (6,)),
            "offset": jax.random.normal(keys[2], (6,)),
            "mean": jax.random.normal(keys[3], (6,)),
            "var": 1 + jax.random.uniform(keys[4], (6,)),
        }
    }
    return x, weights, jnp.asarray([0, 2, 0])


def run(mode, x, weights, tasks):
    membership = jax.nn.one_hot(tasks, 3)

    def group(x, membership):
        def example(x):
            how = Normalise(EPSILON, mode, membership, AXES)
            return network.apply(weights, {}, None, x, how)

        return jax.vmap(example, out_axes=(0, None), axis_name="examples")(x)

    return jax.vmap(group, out_axes=(0, None), axis_name="groups")(x, membership)


def by_numpy(x, leaves, mean, var):
    leaves = jax.tree.map(np.asarray, leaves)
    return leaves["scale"] * (np.asarray(x) - mean) / np.sqrt(var + EPSILON) + leaves["offset"]


def test_frozen_uses_the_weights_statistics_and_returns_no_moments(case):
    x, weights, tasks = case
    y, moments = run("frozen", x, weights, tasks)
    leaves = weights["norm"]
    expected = by_numpy(x, leaves, np.asarray(leaves["mean"]), np.asarray(leaves["var"]))
    np.testing.assert_allclose(y, expected, atol=1e-5)
    assert moments == {}


def test_batch_takes_each_tasks_own_moments(case):
    x, weights, tasks = case
    y, moments = run("batch", x, weights, tasks)
    for task, groups in ((0, [0, 2]), (2, [1])):
        own = np.asarray(x)[groups]
        mean, var = own.mean((0, 1, 2, 3)), own.var((0, 1, 2, 3))
        np.testing.assert_allclose(moments["norm"]["mean"][task], mean, atol=1e-5)
        np.testing.assert_allclose(moments["norm"]["var"][task], var, atol=1e-5)
        expected = by_numpy(own, weights["norm"], mean, var)
        np.testing.assert_allclose(np.asarray(y)[groups], expected, atol=1e-5)
    assert not moments["norm"]["var"][1].any()


def test_ema_returns_moments_but_uses_the_weights_statistics(case):
    x, weights, tasks = case
    y, moments = run("ema", x, weights, tasks)
    np.testing.assert_array_equal(y, run("frozen", x, weights, tasks)[0])
    np.testing.assert_array_equal(
        moments["norm"]["mean"], run("batch", x, weights, tasks)[1]["norm"]["mean"]
    )


def test_batch_gradient_is_that_of_the_tasks_alone(case):
    x, weights, tasks = case
    mixed = jax.grad(lambda x: jnp.sum(jnp.sin(run("batch", x, weights, tasks)[0])))(x)
    alone = jax.grad(lambda x: jnp.sum(jnp.sin(run("batch", x, weights, tasks[1:2])[0])))(x[1:2])
    np.testing.assert_allclose(mixed[1:2], alone, atol=1e-5)


def test_an_unknown_mode_is_refused():
    with pytest.raises(UnknownNameError, match="frozen"):
        Normalise(EPSILON, "frozenn")


def test_folded_reads_scale_and_offset_alone(case):
    x, weights, _ = case
    leaves = {name: weights["norm"][name] for name in ("scale", "offset")}
    for activation, function in (("linear", lambda y: y), ("relu", jax.nn.relu)):
        folded = hk.transform(
            lambda x, activation=activation: Norm(name="norm")(
                x, Normalise(EPSILON, "folded"), activation
            )
        )
        y = folded.apply({"norm": leaves}, None, x[0, 0])
        scale, offset = (np.asarray(leaves[name]) for name in ("scale", "offset"))
        wanted = function(np.asarray(x[0, 0]) * scale + offset)
        np.testing.assert_allclose(y, wanted, atol=1e-6)
