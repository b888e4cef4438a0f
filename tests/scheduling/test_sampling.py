"""Sampling rules: shares, fairness, and that a choice is a function of seed and step alone."""

import numpy as np
import pytest

from adapters.scheduling import sampling

SIZES = (1000, 100, 10)


def shares(scheduler, groups=2, steps=4000):
    counts = np.zeros(len(SIZES))
    state = scheduler.init()
    for step in range(steps):
        choice, state = scheduler.next(state, 0, step, groups)
        counts += np.bincount(choice.tasks, minlength=len(SIZES))
    return counts / counts.sum()


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (sampling.uniform(SIZES), [1 / 3] * 3),
        (sampling.proportional(SIZES), np.array(SIZES) / 1110),
        (sampling.temperature(SIZES, 2.0), np.sqrt(SIZES) / np.sqrt(SIZES).sum()),
        (sampling.temperature(SIZES, 1.0), np.array(SIZES) / 1110),
        (sampling.temperature(SIZES, 1e6), [1 / 3] * 3),
    ],
)
def test_shares(scheduler, expected):
    np.testing.assert_allclose(shares(scheduler), expected, atol=0.02)


def test_a_choice_depends_on_seed_and_step_alone():
    scheduler = sampling.temperature(SIZES, 2.0)
    state = scheduler.init()
    later, _ = scheduler.next(state, 7, 41, 4)
    for step in range(5):
        scheduler.next(state, 7, step, 4)
    again, _ = scheduler.next(state, 7, 41, 4)
    np.testing.assert_array_equal(later.tasks, again.tasks)
    others = [scheduler.next(state, 7, step, 4)[0].tasks.tolist() for step in range(20)]
    assert len(set(map(tuple, others))) > 1


def test_as_many_groups_as_equal_tasks_take_each_once():
    scheduler = sampling.uniform((5, 5, 5))
    for step in range(50):
        choice, _ = scheduler.next(scheduler.init(), 0, step, 3)
        assert sorted(choice.tasks) == [0, 1, 2]
        assert choice.weights.sum() == 3


@pytest.mark.parametrize("sizes", [(), (3, 0)])
def test_tasks_without_examples_are_refused(sizes):
    with pytest.raises(sampling.SamplingError, match="training example"):
        sampling.uniform(sizes)


def test_a_temperature_must_be_positive():
    with pytest.raises(sampling.SamplingError, match="above 0"):
        sampling.temperature(SIZES, 0.0)


def test_a_step_has_tasks_of_one_kind_as_often_as_they_are_wanted():
    kinds = ("classification", "regression", "classification", "multilabel")
    scheduler = sampling.proportional((40, 10, 30, 20), kinds)
    counts = np.zeros(4)
    for step in range(4000):
        choice, _ = scheduler.next({}, 3, step, 4)
        assert len({kinds[task] for task in choice.tasks}) == 1
        counts += np.bincount(choice.tasks, minlength=4)
    np.testing.assert_allclose(counts / counts.sum(), (0.4, 0.1, 0.3, 0.2), atol=0.03)


def test_naming_the_one_kind_of_all_changes_no_draw():
    sizes = (5, 1, 30)
    for step in range(50):
        plain, _ = sampling.proportional(sizes).next({}, 1, step, 4)
        named, _ = sampling.proportional(sizes, ("classification",) * 3).next({}, 1, step, 4)
        np.testing.assert_array_equal(plain.tasks, named.tasks)
