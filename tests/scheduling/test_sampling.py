"""Sampling rules: shares, fairness, and that a choice is a function of seed and step alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.errors import UnknownNameError
from adapters.scheduling.contract import SchedulingError, Tasks
from adapters.scheduling.registry import PRIORITIES, SAMPLINGS, sampler
from adapters.spec import SpecError

SIZES = (1000, 100, 10)


def tasks(sizes=SIZES, kinds=(), images=100, outputs=5):
    total = len(sizes)
    kinds = kinds or ("classification",) * total
    return Tasks(tuple(sizes), (outputs,) * total, kinds, (0.9,) * total, images)


def shares(spec, known, groups=2, steps=4000):
    counts = np.zeros(len(known.sizes))
    made = sampler(spec, known, steps)
    state = made.init()
    for step in range(steps):
        chosen, state = made.next(state, 0, step, groups)
        counts += np.bincount(chosen, minlength=len(known.sizes))
    return counts / counts.sum()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("uniform", [1 / 3] * 3),
        ("proportional", np.array(SIZES) / 1110),
        ("temperature(tau=2)", np.sqrt(SIZES) / np.sqrt(SIZES).sum()),
        ("temperature(tau=1)", np.array(SIZES) / 1110),
        ("temperature(tau=1e6)", [1 / 3] * 3),
        # 900 images: 10 x 10 of the smallest, then 400 each.
        ("unimax(repeats=10)", np.array([400, 400, 100]) / 900),
    ],
)
def test_shares(spec, expected):
    np.testing.assert_allclose(shares(spec, tasks(images=900)), expected, atol=0.02)


def test_unimax_on_the_sizes_of_the_visual_decathlon():
    """In thousands: three small ones are capped, the other seven share what is left alike."""
    sizes = (1232, 3.3, 40, 23.5, 1.9, 31.4, 1.0, 17.9, 47.2, 7.6)
    known = tasks([int(1000 * size) for size in sizes], images=3_000_000)
    served = SAMPLINGS["unimax"](repeats=100)(known) * 3000
    capped = [1, 4, 6]
    np.testing.assert_allclose(served[capped], [330, 190, 100], rtol=1e-6)
    np.testing.assert_allclose(np.delete(served, capped), [2380 / 7] * 7, rtol=1e-6)


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 10_000), min_size=1, max_size=12),
    images=st.integers(1, 100_000),
    repeats=st.floats(0.5, 200),
)
def test_unimax_never_exceeds_its_cap_and_serves_as_alike_as_it_allows(sizes, images, repeats):
    known = tasks(sizes, images=images)
    if images > repeats * sum(sizes):
        with pytest.raises(SchedulingError, match="fewer steps or more repeats"):
            SAMPLINGS["unimax"](repeats=repeats)(known)
        return
    found = SAMPLINGS["unimax"](repeats=repeats)(known)
    assert found.sum() == pytest.approx(1)
    assert (found > 0).all()
    views, caps = found * images, repeats * np.array(sizes)
    assert (views <= caps * (1 + 1e-9)).all()
    uncapped = views < caps * (1 - 1e-9)
    if uncapped.any():  # these have alike, and no capped task has more
        assert np.ptp(views[uncapped]) <= 1e-6 * images
        assert views.max() <= views[uncapped].max() * (1 + 1e-9)


@pytest.mark.parametrize("rule", SAMPLINGS)
def test_shares_are_positive_and_follow_their_tasks(rule):
    known, order = tasks(images=900), [2, 0, 1]
    found = SAMPLINGS[rule]()(known)
    assert (found > 0).all()
    assert found.sum() == pytest.approx(1)
    moved = SAMPLINGS[rule]()(tasks([SIZES[task] for task in order], images=900))
    np.testing.assert_allclose(moved, found[order])


def test_a_choice_depends_on_seed_and_step_alone():
    made = sampler("temperature(tau=2)", tasks(), 50)
    state = made.init()
    later, _ = made.next(state, 7, 41, 4)
    for step in range(5):
        made.next(state, 7, step, 4)
    again, _ = made.next(state, 7, 41, 4)
    np.testing.assert_array_equal(later, again)
    others = [made.next(state, 7, step, 4)[0].tolist() for step in range(20)]
    assert len(set(map(tuple, others))) > 1


def test_as_many_groups_as_equal_tasks_take_each_once():
    made = sampler("uniform", tasks((5, 5, 5)), 50)
    for step in range(50):
        chosen, _ = made.next(made.init(), 0, step, 3)
        assert sorted(chosen) == [0, 1, 2]


@pytest.mark.parametrize("sizes", [(), (3, 0)])
def test_tasks_without_examples_are_refused(sizes):
    with pytest.raises(SchedulingError, match="training example"):
        sampler("uniform", tasks(sizes), 50)


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("temperature(tau=0)", SchedulingError, "above 0"),
        ("unimax(repeats=0)", SchedulingError, "above 0"),
        ("unimax(times=3)", SchedulingError, "no setting 'times'; it has: repeats"),
        ("temperature(tau=high)", SchedulingError, "tau=high; it must be of the kind float"),
        ("uniforms", UnknownNameError, "Did you mean 'uniform'"),
        ("uniform+proportional", SpecError, "must be one rule"),
        ("gradnorm", UnknownNameError, "no sampling rule"),
    ],
)
def test_what_cannot_be_drawn_is_said(spec, error, said):
    with pytest.raises(error, match=said):
        sampler(spec, tasks(), 50)


def test_a_step_has_tasks_of_one_kind_as_often_as_they_are_wanted():
    kinds = ("classification", "regression", "classification", "multilabel")
    made = sampler("proportional", tasks((40, 10, 30, 20), kinds), 4000)
    counts = np.zeros(4)
    for step in range(4000):
        chosen, _ = made.next({}, 3, step, 4)
        assert len({kinds[task] for task in chosen}) == 1
        counts += np.bincount(chosen, minlength=4)
    np.testing.assert_allclose(counts / counts.sum(), (0.4, 0.1, 0.3, 0.2), atol=0.03)


@pytest.mark.parametrize("rule", PRIORITIES)
def test_priorities_draw_what_is_behind_more_often_and_resume_from_json(rule, json_again):
    """The third task learns nothing; from the middle of the run on it is drawn most."""
    known, steps = tasks((10, 10, 10)), 300
    made = sampler(rule, known, steps)
    state, counts, middle = made.init(), np.zeros(3), None
    for step in range(steps):
        if step == steps // 2:
            state = json_again(state)
            middle = counts.copy()
        chosen, state = made.next(state, 0, step, 2)
        counts += np.bincount(chosen, minlength=3)
        figures = {
            int(task): {"loss": 2.0 if task == 2 else 2 * 0.97**step, "accuracy": float(task != 2)}
            for task in chosen
        }
        state = made.feedback(state, figures)
        if step == steps - 1:
            assert json_again(state) == state
    late = counts - middle
    assert late[2] > 1.15 * max(late[:2])
    assert (counts > 0.1 * counts.sum() / 3).all()
