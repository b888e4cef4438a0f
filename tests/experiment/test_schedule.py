"""What a run's settings say of scheduling, and what is refused before it begins."""

import jax.numpy as jnp
import pytest
from absl import logging

from adapters.errors import UnknownNameError
from adapters.experiment import schedule
from adapters.experiment.run_files import RESULTS
from adapters.experiment.settings import SettingError, settings_of
from adapters.heads.classification import classification
from adapters.heads.together import TaskHeads
from adapters.scheduling.contract import SchedulingError, Tasks
from adapters.training import tidy
from tasks.task import Task

NAMES = ("apples", "pears", "plums")
TASKS = [Task(name, None, ("a", "b"), "Of no images.", (0.0, 1.0)) for name in NAMES]
HEADS = TaskHeads((classification(),) * 3, (2, 3, 4))
SHARED = {"stem": {"w": jnp.ones(3)}}
JOINT = {"train_shared": True, "groups": 4}


def facts(tasks=TASKS, **values):
    return schedule.facts(settings_of(**values), tasks, (30, 20, 10), HEADS)


def scheduled(shared=SHARED, tasks=TASKS, **values):
    return schedule.scheduling(settings_of(**values), facts(tasks, **values), shared)


def write_results(path, rows):
    tidy.append(
        path,
        [
            tidy.Measurement(task, "", "", "", seed, split, metric, value, "fraction", "")
            for task, seed, split, metric, value in rows
        ],
    )


def test_rules_know_sizes_classes_and_how_many_images_the_run_trains_on():
    assert facts(steps=50, groups=4, examples=8) == Tasks(
        (30, 20, 10), (2, 3, 4), ("classification@64",) * 3, None, 50 * 4 * 8
    )


def test_a_step_is_of_one_size_and_gradients_are_compared_within_it():
    apples, pears, plums = TASKS
    two = [apples.at(96), pears, plums.at(96)]
    assert facts(two, size=32).kinds == tuple(f"classification@{size}" for size in (96, 32, 96))
    assert scheduled(tasks=two, gradients="pcgrad", **JOINT).combine is not None
    three = [apples.at(96), pears, plums.at(64)]
    with pytest.raises(SettingError, match="no two of these are alike") as refused:
        scheduled(tasks=three, size=32, gradients="pcgrad", **JOINT)
    assert refused.value.settings == ("gradients",)


@pytest.mark.parametrize(
    ("values", "setting"),
    [({"scheduler": "balanced(floor=0.5)"}, "scheduler"), ({"gradients": "pcgrad"}, "gradients")],
)
def test_a_rule_for_shared_weights_is_refused_where_nothing_is_shared(values, setting):
    with pytest.raises(SettingError, match="train the shared weights too") as refused:
        scheduled({"stem": {}}, **values)
    assert refused.value.settings[0] == setting
    instead = "draw the tasks by a rule instead" in str(refused.value)
    assert instead == (setting == "scheduler")
    made = scheduled(**values, **JOINT)
    assert made.weighting.adaptive == (setting == "scheduler")
    assert (made.combine is not None) == (setting == "gradients")


def test_plain_rules_need_nothing_shared():
    assert scheduled({}).combine is None


def test_gradients_of_one_group_cannot_be_combined(monkeypatch):
    monkeypatch.setattr("jax.device_count", lambda: 1)
    with pytest.raises(SettingError, match="Take as many groups as tasks"):
        scheduled(gradients="upgrad", train_shared=True, groups=1)


def test_a_step_of_fewer_groups_than_tasks_is_warned_of(monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    scheduled(scheduler="uncertainty", **JOINT)
    scheduled(gradients="pcgrad", train_shared=True, groups=2)
    assert said == [
        "A step trains at most 2 of 3 tasks: pcgrad compares only those. Take as many groups as "
        "tasks where memory allows."
    ]


def test_references_are_validation_accuracies_of_runs_alone(tmp_path):
    rows = [(name, 0, "validation", "accuracy", 0.8) for name in NAMES]
    rows += [("apples", 1, "validation", "accuracy", 0.6), ("apples", 0, "test", "accuracy", 0.1)]
    write_results(tmp_path / RESULTS, rows)
    for given in (tmp_path, tmp_path / RESULTS):
        known = facts(scheduler="achievement", references=given, **JOINT)
        assert known.references == pytest.approx((0.7, 0.8, 0.8))
    drawn = facts(sampling="balanced", references=tmp_path)
    assert schedule.sampler(settings_of(sampling="balanced"), drawn).init()["priorities"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no file"),
        (
            [("apples", 0, "validation", "accuracy", 0.8)],
            "of the task pears; it has those of apples",
        ),
        (
            [(name, 0, "validation", "accuracy", 0.0) for name in NAMES],
            "above 0 of the task apples",
        ),
    ],
)
def test_references_that_say_too_little_are_refused(tmp_path, rows, said):
    if rows:
        write_results(tmp_path / RESULTS, rows)
    with pytest.raises(schedule.ReferenceMissingError, match=said):
        facts(scheduler="achievement", references=tmp_path, **JOINT)


def test_references_that_nothing_reads_are_refused(tmp_path):
    with pytest.raises(SettingError, match="achievement or balanced"):
        facts(references=tmp_path)


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({"scheduler": "balance"}, UnknownNameError, "Did you mean 'balanced'"),
        ({"gradients": "pcgrads"}, UnknownNameError, "Did you mean 'pcgrad'"),
        ({"scheduler": "balanced(flor=1)"}, SchedulingError, "no setting 'flor'; it has: gamma"),
        ({"scheduler": "gradnorm", "gradients": "pcgrad"}, SchedulingError, "one of the two"),
        ({"sampling": "temperature(tau=-1)"}, SchedulingError, "above 0"),
    ],
)
def test_settings_are_refused_before_anything_is_loaded(values, error, said):
    with pytest.raises(error, match=said):
        settings_of(**values)
