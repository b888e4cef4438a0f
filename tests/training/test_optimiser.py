"""Rows of the optimiser against optax alone on each task's own history."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from adapters.training.optimiser import adam, warm_cosine


def test_a_row_moves_as_if_its_task_trained_alone():
    """Tasks are present in a pattern; each must follow plain AdamW over its own steps."""
    optimiser = adam(weight_decay=0.1)
    generator = np.random.default_rng(0)
    start = jnp.asarray(generator.normal(size=(3, 4)), jnp.float32)
    params, state = {"w": start}, optimiser.init({"w": start}, 3)
    alone = optax.adamw(0.01, weight_decay=0.1)
    with jax.numpy_dtype_promotion("standard"):
        expected = [({"w": start[t]}, alone.init({"w": start[t]})) for t in range(3)]
    for present in ([1, 0, 1], [0, 0, 1], [1, 0, 1], [1, 0, 0]):
        gradient = jnp.asarray(generator.normal(size=(3, 4)), jnp.float32)
        mask, rate = jnp.asarray(present, bool), jnp.full(3, 0.01)
        params, state = optimiser.update({"w": gradient}, state, params, mask, rate)
        for task in np.flatnonzero(present):
            own, own_state = expected[task]
            with jax.numpy_dtype_promotion("standard"):
                updates, own_state = alone.update({"w": gradient[task]}, own_state, own)
                expected[task] = (optax.apply_updates(own, updates), own_state)
    for task in range(3):
        np.testing.assert_allclose(params["w"][task], expected[task][0]["w"], rtol=1e-5)
    np.testing.assert_array_equal(params["w"][1], start[1])
    assert state[0].count.tolist() == [3, 0, 3]


def test_an_empty_tree_has_rows_too():
    optimiser = adam()
    state = optimiser.init((), 2)
    present = jnp.ones(2, bool)
    assert optimiser.update((), state, (), present, jnp.full(2, 0.1))[0] == ()


def test_learning_rate_rises_then_falls_to_zero():
    rates = [warm_cosine(p, 2.0, 0.1) for p in (0.0, 0.05, 0.1, 0.55, 1.0)]
    np.testing.assert_allclose(rates, [0.0, 1.0, 2.0, 1.0, 0.0], atol=1e-6)


def test_no_warmup_starts_at_the_peak():
    assert warm_cosine(0.0, 2.0, 0.0) == 2.0
