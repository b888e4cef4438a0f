"""Rules that combine gradients, beside gradients combined by hand."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adapters.scheduling.registry import COMBINES

TASKS, LENGTH = 4, 6
RULES = {name: jax.jit(make()) for name, make in COMBINES.items() if name != "sum"}
vectors = arrays(
    np.float32, (TASKS, LENGTH), elements=st.integers(-8, 8).map(lambda value: value / 4)
)


def combined(rule, gradients, key=0):
    return RULES[rule](gradients @ gradients.T, jax.random.key(key)) @ gradients


@pytest.mark.parametrize("rule", RULES)
def test_without_conflict_gradients_are_added(rule):
    gradients = np.abs(np.random.default_rng(0).random((TASKS, LENGTH), np.float32))
    np.testing.assert_allclose(combined(rule, gradients), gradients.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(combined(rule, np.eye(4, 6, dtype=np.float32)).sum(), 4, rtol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_opposite_gradients_cancel(rule):
    one = np.random.default_rng(1).random(LENGTH, np.float32)
    gradients = np.stack([one, -one, np.zeros_like(one), np.zeros_like(one)])
    np.testing.assert_allclose(combined(rule, gradients), np.zeros(LENGTH), atol=1e-3)


@pytest.mark.parametrize("rule", RULES)
def test_one_task_keeps_its_gradient(rule):
    gradients = np.array([[1.0, -2.0, 3.0]], np.float32)
    np.testing.assert_allclose(combined(rule, gradients), gradients[0], rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(gradients=vectors, key=st.integers(0, 50))
def test_pcgrad_is_the_projection_of_vectors(gradients, key):
    """Every task's gradient loses its part against each other's, in the order of the key."""
    keys = jax.random.split(jax.random.key(key), TASKS)
    expected = np.zeros(LENGTH)
    for task in range(TASKS):
        own = gradients[task].astype(np.float64)
        for other in np.asarray(jax.random.permutation(keys[task], TASKS)):
            against = own @ gradients[other]
            if other != task and against < -1e-5:
                own = own - against / (gradients[other] @ gradients[other]) * gradients[other]
        expected += own
    # A product of rounding's size has no sign to go by: left out.
    sizes = [abs(a @ b) for a in gradients for b in gradients]
    scale = max(sizes, default=1) or 1
    found = combined("pcgrad", gradients, key)
    np.testing.assert_allclose(found, expected, atol=2e-4 * max(scale, 1))


def shortest(products, bound):
    """The v >= bound with the least v products v."""
    found = []
    for free in itertools.product([False, True], repeat=TASKS):
        free = np.array(free)
        v = bound.copy()
        if free.any():
            inner = products[np.ix_(free, free)]
            v[free] = np.linalg.solve(inner, -products[np.ix_(free, ~free)] @ bound[~free])
        if (v >= bound - 1e-9).all():
            found.append(v)
    return min(found, key=lambda v: v @ products @ v)


@settings(max_examples=60, deadline=None)
@given(gradients=vectors)
def test_upgrad_solves_its_quadratic_programs(gradients):
    """Beside all sets of bounds that may hold with equality, the shortest combination v >= e_i."""
    size = max(np.trace(gradients @ gradients.T) / TASKS, 1e-30)
    products = gradients.astype(np.float64) @ gradients.T / size + 1e-4 * np.eye(TASKS)
    expected = sum(shortest(products, bound) for bound in np.eye(TASKS)) @ gradients
    found = combined("upgrad", gradients)
    np.testing.assert_allclose(found, expected, atol=0.03 * max(np.sqrt(size), 1))
    # What it is for: no task's loss rises along it, but for the regularisation.
    assert (gradients @ found >= -0.02 * max(size, 1)).all()
