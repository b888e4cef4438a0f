"""The loop: a stopped run, resumed, ends with the bytes of an uninterrupted one."""

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
from adapters.training import checkpoint, interrupt, loop, metrics
from adapters.training.checkpoint import ConfigurationMismatchError
from tests import narrow
from tests.training.test_step import make

STEPS = 12


class CountingStream:
    """Batches from a counter; `before` is called with each one's number."""

    def __init__(self, task, before=lambda number: None):
        self._task, self._number, self._before = task, 0, before

    def __next__(self):
        self._before(self._number)
        pixels, labels = narrow.images(1, 2, seed=1000 * self._task + self._number)
        self._number += 1
        return {"image": pixels[0], "label": labels[0]}

    def get_state(self):
        return {"number": self._number}

    def set_state(self, state):
        self._number = state["number"]


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


def arguments(directory, before, log_every=1, **configuration):
    plan = loop.Plan(
        steps=STEPS,
        groups=2,
        seed=3,
        directory=directory,
        configuration={"seed": 3, **configuration},
        checkpoint_every=5,
        log_every=log_every,
        validate_every=6,
    )
    return (
        make(),
        narrow.weights(),
        ["a", "b", "c"],
        [CountingStream(0, before), CountingStream(1), CountingStream(2)],
        worst_first(),
        plan,
        lambda state: {"a": 0.5},
    )


def bits(state):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


class Killed(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(folder of a run that nothing stopped, the bits of its last state)."""
    directory = tmp_path_factory.mktemp("whole")
    return directory, bits(run(directory))


@pytest.fixture
def again(whole, tmp_path):
    """A copy of that folder, to go on in."""
    return shutil.copytree(whole[0], tmp_path / "again")


def test_a_killed_run_resumes_to_the_same_bytes(whole, tmp_path):
    directory, expected = whole

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
    directory, expected = whole
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
    _, expected = whole

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
    directory, expected = whole

    def forbidden(number):
        raise AssertionError("a finished run asked for data")

    assert bits(run(directory, forbidden)) == expected


def test_a_diverging_run_stops_and_names_the_task(tmp_path, monkeypatch):
    trained = make()

    def spoilt(*arguments):
        state, metrics = trained.step(*arguments)
        return state, metrics._replace(loss=metrics.loss * np.float32("nan"))

    monkeypatch.setattr(f"{__name__}.make", lambda: trained._replace(step=spoilt))
    with pytest.raises(
        loop.DivergedError, match=r"the loss of a .*\(patch_rate, head_rate, shared_rate\)"
    ):
        run(tmp_path)


def test_scores_of_several_kinds_are_told_one_by_one():
    heads = TaskHeads((classification(), regression(unit="cm")), (3, 1))
    scores = {"marks": 0.925, "lengths": -0.061}
    said = loop._summary(12, ["marks", "lengths"], heads, scores)
    assert said == "step 12: validation in %: marks 92.5, lengths (R^2) -6.1"
    alike = TaskHeads((regression(unit="cm"), regression(unit="g")), (1, 1))
    said = loop._summary(12, ["marks", "lengths"], alike, scores)
    assert said == "step 12: validation R^2 43.20 % (marks 92.5, lengths -6.1)"
