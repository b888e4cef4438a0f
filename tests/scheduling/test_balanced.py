"""Balanced prioritisation: bounds, the push, and constants out of their range."""

import jax.numpy as jnp
import numpy as np
import pytest

from adapters.scheduling.balanced import balanced
from adapters.scheduling.contract import SchedulingError, Signals, Tasks
from adapters.scheduling.registry import WEIGHTINGS

TEN = Tasks((9,) * 10, (10,) * 10, ("classification",) * 10)


def after(rule, accuracies, tasks=TEN, steps=400):
    state = rule.init(tasks)
    signals = Signals(jnp.ones(10, bool), jnp.ones(10), jnp.asarray(accuracies), jnp.ones(10))
    for _ in range(steps):
        state = rule.update(state, signals)
    return lambda progress: np.asarray(rule.weights(state, jnp.float32(progress)))


def test_one_domain_that_never_learns_takes_three_shares_and_starves_nobody():
    weights = after(balanced(), [0.0] + [1.0] * 9)(1.0)
    assert weights[0] == pytest.approx(3.0)
    assert (weights[1:] >= 0.3).all()
    unbounded = after(balanced(cap=10.0), [0.0] + [1.0] * 9)(1.0)
    assert unbounded[0] == pytest.approx(0.3 + 0.7 * 10 / (1 + 9 * 0.02), rel=1e-4)
    assert unbounded[1:] == pytest.approx(0.3 + 0.7 * 10 * 0.02 / (1 + 9 * 0.02), rel=1e-4)


def test_the_push_begins_late_and_grows_to_the_end():
    weights = after(balanced(start=0.4), [0.5] + [0.9] * 9)
    np.testing.assert_array_equal(weights(0.39), np.ones(10))
    full = weights(1.0) - 1
    np.testing.assert_allclose(weights(0.7) - 1, full / 2, atol=1e-5)


def test_a_domain_that_is_hard_for_every_network_is_not_favoured():
    """Its reference says so: half right of what could be had, as the rest."""
    known = TEN._replace(references=(0.5,) + (1.0,) * 9)
    weights = after(balanced(), [0.25] + [0.5] * 9, known)(1.0)
    np.testing.assert_allclose(weights, np.ones(10), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("balanced", {"floor": 1.5}),
        ("balanced", {"cap": 1.0}),
        ("balanced", {"start": 1.0}),
        ("balanced", {"gamma": -1.0}),
        ("achievement", {"margin": 0.9}),
        ("dynamic_weight_average", {"temperature": 0.0}),
        ("dynamic_weight_average", {"window": 0}),
    ],
)
def test_constants_out_of_their_range_are_refused(name, changed):
    with pytest.raises(SchedulingError, match=f"{name} has .*must be"):
        WEIGHTINGS[name](**changed)


def test_achievement_asks_for_references():
    with pytest.raises(SchedulingError, match="run of its own"):
        WEIGHTINGS["achievement"]().init(TEN)
