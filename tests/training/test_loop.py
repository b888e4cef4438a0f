"""The loop: a stopped run, resumed, ends with the bytes of an uninterrupted one."""

import functools
import itertools
import os
import shutil
import signal

import jax
import numpy as np
import pytest

from adapters.heads.classification import classification
from adapters.heads.regression import regression
from adapters.heads.together import TaskHeads
from adapters.scheduling.contract import Sampler
from adapters.training import best, checkpoint, interrupt, loop, metrics, packing, step_figures
from adapters.training.checkpoint import ConfigurationMismatchError
from adapters.training.stopping import Stopping
from tests import narrow
from tests.training.test_step import make

STEPS = 12
NAMES = ["a", "b", "c"]


class Numbered:
    """Batches made from their numbers; `before` is called with each one's."""

    def __init__(self, task, before=lambda number: None):
        self._task, self._before = task, before

    def __getitem__(self, number):
        self._before(number)
        pixels, labels = narrow.images(1, 2, seed=1000 * self._task + number)
        return {"image": pixels[0], "label": labels[0]}


def worst_first():
    """A sampler with a state that feedback moves: the task of the highest loss goes next."""

    def following(state, seed, step, groups):
        worst = max(range(3), key=lambda task: state["losses"][task])
        return np.asarray([worst, step % 3], np.int32), state

    def feedback(state, figures):
        losses = list(state["losses"])
        for task, values in figures.items():
            losses[task] = values["loss"]
        return {"losses": losses}

    return Sampler(lambda: {"losses": [9.0, 8.0, 7.0]}, following, feedback)


def run(directory, before=lambda number: None, **changes):
    return loop.train(*arguments(directory, before, **changes))


def records(directory, **changes):
    return loop.records(*arguments(directory, lambda number: None, **changes))


def arguments(
    directory,
    before,
    log_every=1,
    steps=STEPS,
    stopping=None,
    validate_every=6,
    validate=None,
    devices=1,
    **configuration,
):
    plan = loop.Plan(
        steps=steps,
        groups=2,
        seed=3,
        directory=directory,
        configuration={"seed": 3, "recipe": {"steps": steps}, **configuration},
        checkpoint_every=5,
        log_every=log_every,
        validate_every=validate_every,
        stopping=stopping or Stopping(),
        keeps_best=True,
    )
    return (
        made(devices),
        narrow.weights(),
        NAMES,
        [Numbered(0, before), Numbered(1), Numbered(2)],
        worst_first(),
        plan,
        validate or scores,
    )


@functools.cache
def made(devices=1):
    return make(devices=devices)


def scores(state):
    """Of `a` ever lower, of `b` ever higher, of `c` always the same."""
    step = int(state.step)
    return {"a": 1 / step, "b": step / 100, "c": 0.5}


def bits(outcome):
    """Of all that a run moves: the last leaves, and what was best."""
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(outcome.state)]
    kept = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(outcome.best.leaves)]
    return [*leaves, *kept, outcome.best.to_json(), outcome.step, outcome.end]


class Killed(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(folder of a run that nothing stopped, the bits of what came of it, that itself)."""
    directory = tmp_path_factory.mktemp("whole")
    outcome = run(directory)
    return directory, bits(outcome), outcome


@pytest.fixture
def again(whole, tmp_path):
    """A copy of that folder, to go on in."""
    return shutil.copytree(whole[0], tmp_path / "again")


def test_a_killed_run_resumes_to_the_same_bytes(whole, tmp_path):
    directory, expected, _ = whole

    def kill(number):
        if number == 6:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path / "killed", kill)
    assert checkpoint.latest(tmp_path / "killed" / "checkpoints") == 5
    assert bits(run(tmp_path / "killed")) == expected
    logs = [metrics.read(each / "metrics.jsonl") for each in (directory, tmp_path / "killed")]
    assert logs[0] == logs[1]


def test_a_run_goes_on_from_before_a_damaged_checkpoint_to_the_same_bytes(whole, again):
    directory, expected, _ = whole
    (again / "checkpoints" / f"step_{STEPS:08d}" / "state.json").write_text("{}")
    with pytest.warns(checkpoint.DamagedCheckpointWarning, match="going on from step 10"):
        assert bits(run(again)) == expected
    logs = [metrics.read(each / "metrics.jsonl") for each in (directory, again)]
    assert logs[0] == logs[1]
    assert checkpoint.latest(again / "checkpoints") == STEPS


def test_when_figures_are_logged_does_not_move_the_sampler(tmp_path):
    """It gets them late by a fixed number of steps, also where nothing waits for them before."""
    often, seldom = (run(tmp_path / str(every), log_every=every) for every in (1, 11))
    assert bits(often) == bits(seldom)
    steps = [record.step for record in metrics.read(tmp_path / "11" / "metrics.jsonl")]
    assert steps == [6, 11, 12]


def test_records_come_in_order_and_each_once(tmp_path):
    found = list(records(tmp_path, log_every=100))
    assert [record.step for record in found] == list(range(1, STEPS + 1))
    assert [record.step for record in found if record.scores] == [6, 12]
    assert all(np.isfinite(loss) for record in found for loss in record.losses.values())


def test_sigterm_saves_the_last_whole_step(whole, tmp_path):
    _, expected, _ = whole

    def terminate(number):
        if number == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(interrupt.StoppedError, match="Resume it to go on"):
        run(tmp_path / "stopped", terminate)
    assert checkpoint.latest(tmp_path / "stopped" / "checkpoints") not in (None, 5, STEPS)
    assert bits(run(tmp_path / "stopped")) == expected


def test_another_configuration_is_refused(whole):
    with pytest.raises(ConfigurationMismatchError, match="patch"):
        run(whole[0], patch="bias")


def test_a_finished_run_does_nothing_more(whole):
    directory, expected, _ = whole

    def forbidden(number):
        raise AssertionError("a finished run asked for data")

    assert bits(run(directory, forbidden)) == expected


def test_each_task_has_its_own_best_step_and_what_it_had_trained_then(tmp_path):
    """Its rows of the state that was scored, cut out as for its file."""
    seen = {}

    def noting(state):
        seen[int(state.step)] = jax.tree.map(np.array, state)
        return scores(state)

    outcome = run(tmp_path, validate=noting)
    assert outcome.best.steps == {"a": 6, "b": 12, "c": 12}  # of equal ones the later
    assert outcome.best.scores == {"a": 1 / 6, "b": 0.12, "c": 0.5}
    chosen = best.shipped(outcome.best, outcome.state, NAMES, made().heads)
    for task, step in enumerate([6, 12, 12]):
        own, other = seen[step], seen[18 - step]
        assert same(rows(chosen, task), rows(own, task))
        assert not same(rows(chosen, task), rows(other, task))


def rows(state, task):
    return packing.task_params(state, task), packing.task_head(state, made().heads, task)


def same(left, right):
    return jax.tree.all(jax.tree.map(np.array_equal, left, right))


def test_shared_leaves_have_one_best_step_for_all(whole):
    """That of the highest mean; a number is better than none that is one."""
    _, _, outcome = whole
    shared = {"stem": {"w": np.zeros(3, np.float32)}}
    state = outcome.state._replace(shared=shared)
    found = best.Best()
    for step, values in enumerate([(0.5, np.nan), (0.75, 0.25), (1.0, 0.0), (0.0, 0.875)], 1):
        told = dict(zip("ab", values, strict=True))
        now = state._replace(shared={"stem": {"w": np.full(3, step, np.float32)}})
        found = best.updated(found, told, now, step, NAMES, made().heads, keep=True)
    assert (found.steps, found.without) == ({"a": 3, "b": 3}, 2)
    chosen = best.shipped(found, state, NAMES, made().heads)
    assert chosen.shared["stem"]["w"].tolist() == [3, 3, 3]


def test_without_a_score_the_last_step_ships(whole):
    _, _, outcome = whole
    assert best.shipped(best.Best(), outcome.state, NAMES, made().heads) is outcome.state


def test_a_run_ends_when_nothing_gets_better(whole, tmp_path):
    """And its state is that of a run which never asked; with more patience it goes on."""
    _, expected, _ = whole
    seen = itertools.chain([0.5, 0.75], itertools.repeat(0.75))
    every = {"validate_every": 2, "validate": lambda state: {"a": next(seen), "b": 0.5}}
    ended = run(tmp_path, stopping=Stopping(patience=2), patience=2, **every)
    assert (ended.step, ended.end, ended.best.without) == (8, "patience", 2)
    assert ended.best.steps == {"a": 8, "b": 8}  # as good, not better
    assert checkpoint.latest(tmp_path / "checkpoints") == 8
    again = run(tmp_path, stopping=Stopping(patience=2), patience=2, **every)
    assert bits(again) == bits(ended)
    further = run(tmp_path, stopping=Stopping(patience=9), patience=9, **every)
    assert (further.step, further.end) == (12, "steps")
    states = len(jax.tree.leaves(further.state))
    assert bits(further)[:states] == expected[:states]


def test_a_run_ends_when_its_time_is_up(whole, tmp_path):
    """That before it was resumed counts; with more time it goes on, as if it had never ended."""
    _, expected, _ = whole
    ticks = itertools.count()
    clock = functools.partial(next, ticks)  # a second each time that it is looked at
    ended = run(tmp_path, stopping=Stopping(minutes=4 / 60, clock=clock), minutes=4 / 60)
    assert (ended.step, ended.end, ended.best.steps["c"]) == (4, "minutes", 4)
    again = run(tmp_path, stopping=Stopping(minutes=4 / 60, clock=clock), minutes=4 / 60)
    assert bits(again) == bits(ended)
    further = run(tmp_path, stopping=Stopping(minutes=60, clock=clock), minutes=60.0)
    assert (further.step, further.end) == (12, "steps")
    states = len(jax.tree.leaves(further.state))
    assert bits(further)[:states] == expected[:states]


def test_a_finished_run_is_extended(again, tmp_path):
    """Also one that was killed while it was; not to fewer steps."""

    def kill(state):
        raise Killed

    killed = shutil.copytree(again, tmp_path / "killed")
    longer = run(again, steps=18)
    assert (longer.step, longer.end, longer.extended) == (18, "steps", [12])
    assert longer.best.steps == {"a": 6, "b": 18, "c": 18}
    with pytest.raises(Killed):
        run(killed, steps=18, validate=kill)
    assert checkpoint.latest(killed / "checkpoints") == 15
    assert bits(run(killed, steps=18)) == bits(longer)
    with pytest.raises(ConfigurationMismatchError, match=r"recipe\.steps was 18, is now 12"):
        run(killed)


def test_an_extension_begins_patience_anew(again):
    ended = run(again, steps=18, stopping=Stopping(patience=1), validate=lambda state: {"a": 0.0})
    assert (ended.step, ended.end) == (18, "steps")


def test_a_diverging_run_stops_and_names_the_task(tmp_path, monkeypatch):
    trained = made(1)

    def spoilt(*arguments):
        state, metrics = trained.step(*arguments)
        return state, metrics._replace(loss=metrics.loss * np.float32("nan"))

    monkeypatch.setattr(f"{__name__}.made", lambda devices: trained._replace(step=spoilt))
    with pytest.raises(
        loop.DivergedError, match=r"the loss of a .*\(patch_rate, head_rate, shared_rate\)"
    ):
        run(tmp_path)


def test_scores_of_several_kinds_are_told_one_by_one():
    heads = TaskHeads((classification(), regression(unit="cm")), (3, 1))
    scores = {"marks": 0.925, "lengths": -0.061}
    said = step_figures.summary(12, ["marks", "lengths"], heads, scores)
    assert said == "step 12: validation in %: marks 92.5, lengths (R^2) -6.1"
    alike = TaskHeads((regression(unit="cm"), regression(unit="g")), (1, 1))
    said = step_figures.summary(12, ["marks", "lengths"], alike, scores)
    assert said == "step 12: validation R^2 43.20 % (marks 92.5, lengths -6.1)"
