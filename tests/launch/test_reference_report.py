"""What training together gives beside each task alone, against numbers worked out by hand."""

import re

import pytest

from adapters.experiment import reference_report
from adapters.experiment.reference_report import ReferencesError
from adapters.training.tidy import Measurement
from tasks.decathlon_score import HIGHEST_ERROR, decathlon_score

PLAIN = "64 px, uniform, shared weights trained; as given"
RULED = (
    "64 px, unimax(repeats=5, more=1), shared weights trained; sampling=unimax(repeats=5, more=1)"
)


def rows(scores, setting, split="validation"):
    return [
        Measurement(
            task, "narrow", "bias", setting, seed, split, "accuracy", value, "fraction", "c"
        )
        for task, values in scores.items()
        for seed, value in enumerate(values)
    ]


def cells(text):
    _, head, _, *lines = text.splitlines()
    return [re.split(" {2,}", line.strip()) for line in (head, *lines) if not line.startswith("--")]


def test_mean_worst_task_and_score():
    alone = rows({"a": [0.9, 0.8], "b": [0.6]}, "64 px; as given")  # errors of 0.15 and 0.4
    plain = rows({"a": [0.8, 0.7], "b": [0.7, 0.7]}, PLAIN)  # errors of 0.25 and 0.3
    ruled = rows({"a": [0.9, 0.9], "b": [0.2, 0.2]}, RULED)  # errors of 0.1 and 0.8
    head, *lines = cells(reference_report.report([*plain, *ruled], alone))
    assert head == ["setting", "mean", "± over seeds", "worst difference", "task", "score"]
    plainly = 1000 * ((0.30 - 0.25) / 0.30) ** 2 + 1000 * ((0.8 - 0.3) / 0.8) ** 2
    spread = f"{100 * 0.05 / 2**0.5:.2f}"  # of the seeds' means, 0.75 and 0.70
    assert lines == [
        ["uniform", "72.50", spread, "-10.00", "a", f"{plainly:.0f}"],
        ["unimax(repeats=5, more=1)", "55.00", "0.00", "-40.00", "b", f"{1000 * (2 / 3) ** 2:.0f}"],
        ["each task alone", "72.50", "-", "0.00", "-", "500"],
    ]


def test_the_score_is_the_decathlon_s_where_its_baseline_stands_for_tasks_alone():
    errors = {name: 0.7 * highest / 100 for name, highest in HIGHEST_ERROR.items()}
    alone = {name: highest / 200 for name, highest in HIGHEST_ERROR.items()}
    published = decathlon_score({name: 100 - 100 * error for name, error in errors.items()})
    assert reference_report.score(errors, alone) == pytest.approx(published)
    assert reference_report.score(alone, alone) == pytest.approx(2500)


def test_a_task_without_error_alone_is_matched_or_lost():
    assert reference_report.score({"a": 0.0}, {"a": 0.0}) == 250
    assert reference_report.score({"a": 0.01}, {"a": 0.0}) == 0


def test_test_counts_where_both_have_it():
    alone = rows({"a": [0.5]}, "x")
    own = [*rows({"a": [0.5]}, PLAIN), *rows({"a": [0.9]}, PLAIN, "test")]
    assert "on validation" in reference_report.report(own, alone)
    both = reference_report.report(own, [*alone, *rows({"a": [0.7]}, "x", "test")])
    assert "on test" in both
    assert cells(both)[1][3] == "+20.00"


def test_other_tasks_are_refused():
    alone, own = rows({"a": [0.5]}, "x"), rows({"a": [0.5], "b": [0.5]}, PLAIN)
    with pytest.raises(ReferencesError, match="among the tasks alone: b"):
        reference_report.report(own, alone)
    with pytest.raises(ReferencesError, match="no validation scores of tasks alone"):
        reference_report.report(own, [])
