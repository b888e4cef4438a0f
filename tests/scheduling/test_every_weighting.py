"""One table that every weighting enters, and what must hold of all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adapters.scheduling.contract import Signals, Tasks
from adapters.scheduling.registry import WEIGHTINGS

TOTAL = 3
TASKS = Tasks((50, 60, 70), (2, 5, 10), ("classification",) * 3, (0.9, 0.8, 0.7), 1000)
CHANCE = np.array([1 / 2, 1 / 5, 1 / 10])


def followed(average, now, present):
    return np.where(present, average + 0.05 * (now - average), average)


def shares(values):
    return values * TOTAL / values.sum()


def plainly(rule):
    """Each rule again in NumPy: (init, weights, update) of a plain state, float64."""
    reference = np.array(TASKS.references)

    def accuracy(state, signals):
        return followed(state, signals.accuracies, signals.present)

    def prioritised(accuracy, progress):
        accuracy = np.clip(accuracy, 0.01, 0.99)
        return shares(-(1 - accuracy) * np.log(accuracy))

    def achieved(accuracy, progress):
        return shares(np.maximum(1 - accuracy / (1.05 * reference), 0.02) ** 2)

    def balanced(accuracy, progress):
        wanted = 0.3 + 0.7 * shares(np.maximum(1 - accuracy / reference, 0.02))
        shrunk = min(1, 2 / (wanted.max() - 1)) if wanted.max() > 1 else 1
        return 1 + max(progress - 0.25, 0) / 0.75 * shrunk * (wanted - 1)

    def uncertain(state, signals):
        moved = np.clip(state - 0.01 * (0.5 - np.exp(-state) * signals.losses), -4, 4)
        return np.where(signals.present, moved, state)

    def windows(state, signals):
        """The losses of each task, in the order in which they came."""
        return [
            [*seen, loss] if here else seen
            for seen, loss, here in zip(state, signals.losses, signals.present, strict=True)
        ]

    def averaged(state, progress):
        ratios = []
        for seen in state:
            means = [np.mean(seen[i : i + 50]) for i in range(0, len(seen) - 49, 50)]
            ratios.append(means[-1] / means[-2] if len(means) > 1 else 1.0)
        return shares(np.exp(np.array(ratios) / 2))

    def lengths(state, signals):
        weights, first = state
        first = np.where(signals.present & (first == 0), signals.losses, first)
        here = signals.present
        share = signals.losses / np.where(first == 0, 1, first)
        wanted = signals.norms[here].mean() * (share / share[here].mean()) ** 1.5
        differs = np.abs(signals.norms - wanted) > 1e-4 * wanted
        slope = np.sign(signals.norms - wanted) * differs * signals.norms / weights
        slope = slope / max(np.abs(slope[here]).mean(), 1e-12)
        moved = np.maximum(weights - 0.025 * slope, 0.05)
        return shares(np.where(here, moved, weights)), first

    return {
        "unit": (0, lambda state, progress: np.ones(TOTAL), lambda state, signals: state),
        "uncertainty": (np.zeros(TOTAL), lambda s, progress: shares(np.exp(-s)), uncertain),
        "dynamic_task_prioritisation": (CHANCE, prioritised, accuracy),
        "dynamic_weight_average": ([[]] * TOTAL, averaged, windows),
        "achievement": (CHANCE, achieved, accuracy),
        "balanced": (CHANCE, balanced, accuracy),
        "gradnorm": ((np.ones(TOTAL), np.zeros(TOTAL)), lambda s, progress: s[0], lengths),
    }[rule]


def steps(number, seed=0):
    """Signals of some steps; every task is absent at times, and one is learned by heart."""
    generator = np.random.default_rng(seed)
    for _ in range(number):
        present = generator.random(TOTAL) < 0.8
        present[generator.integers(TOTAL)] = True
        losses, accuracies, norms = generator.random((3, TOTAL)) * present
        accuracies[0] = present[0]
        yield Signals(present, *(x.astype(np.float32) for x in (losses, accuracies, norms)))


def on_device(signals):
    return Signals(*map(jnp.asarray, signals))


@pytest.fixture(scope="module", params=WEIGHTINGS)
def rule(request):
    """(name, init, weights, update), compiled."""
    made = WEIGHTINGS[request.param]()
    return request.param, made.init, jax.jit(made.weights), jax.jit(made.update)


def test_a_rule_is_what_its_equations_say(rule):
    name, init, weights, update = rule
    state = init(TASKS)
    plain, plain_weights, plain_update = plainly(name)
    for number, signals in enumerate(steps(140)):
        progress = number / 140
        found = weights(state, jnp.float32(progress))
        np.testing.assert_allclose(found, plain_weights(plain, progress), rtol=2e-4)
        state, plain = update(state, on_device(signals)), plain_update(plain, signals)


unit_interval = st.floats(0, 1, width=32)
signals = st.builds(
    Signals,
    arrays(bool, TOTAL).filter(np.any),
    *(arrays(np.float32, TOTAL, elements=st.floats(0, top, width=32)) for top in (8, 1, 100)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(signals=signals, progress=unit_interval, order=st.permutations(range(TOTAL)))
def test_weights_are_shares_and_follow_their_tasks(rule, signals, progress, order):
    """They are positive, sum to their number, and a permutation of tasks permutes them."""
    _, init, weights, update = rule
    order = np.array(order)
    moved = Tasks(
        *(tuple(np.array(facts)[order].tolist()) for facts in TASKS[:4]),  # type: ignore[arg-type]
        TASKS.images,
    )
    states = [init(TASKS), init(moved)]
    told = [on_device(signals), on_device(Signals(*(each[order] for each in signals)))]
    found = []
    for state, one in zip(states, told, strict=True):
        for _ in range(3):
            state = update(state, one)
        found.append(np.asarray(weights(state, jnp.float32(progress))))
    assert (found[0] > 0).all()
    np.testing.assert_allclose(found[0].sum(), TOTAL, rtol=1e-5)
    np.testing.assert_allclose(found[1], found[0][order], rtol=1e-4)


def test_equal_tasks_are_treated_equally(rule):
    _, init, weights, update = rule
    state = init(Tasks((9,) * 3, (4,) * 3, TASKS.kinds, (0.9,) * 3, 1000))
    same = Signals(*(np.full(TOTAL, value, np.float32) for value in (1, 0.7, 0.6, 0.5)))
    for _ in range(120):
        state = update(state, on_device(same._replace(present=np.ones(TOTAL, bool))))
    np.testing.assert_allclose(weights(state, jnp.float32(0.9)), np.ones(TOTAL), rtol=1e-5)


def test_what_is_told_of_an_absent_task_changes_nothing(rule):
    _, init, _, update = rule
    state = init(TASKS)
    for one in steps(60):
        state = update(state, on_device(one))
    here = np.array([True, False, True])
    told = np.array([[0.5, 0.0, 0.7], [1.0, 0.0, 0.5], [0.1, 0.0, 0.3]], np.float32)
    found = [update(state, on_device(Signals(here, *told)))]
    # Norms of absent tasks, of no gradient, are 0; the rest is a mean over no image.
    told[1, 1] = 1.0
    found.append(update(state, on_device(Signals(here, *told))))
    for once, again in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(once, again)
