"""The arithmetic of a comparison, against numbers worked out by hand."""

import itertools

import pytest

from adapters.experiment import comparison_report as reporting
from adapters.training.tidy import Measurement

# Test accuracies by patch and task, one a seed.
ACCURACIES = {
    "head_only": {"a": (0.40, 0.50), "b": (0.75, 0.75)},
    "bias": {"a": (0.60, 0.70), "b": (0.625, 0.625)},
    "full": {"a": (0.80, 0.90), "b": (0.6875, 0.8125)},
}
ALIKE = {"a": "accuracy", "b": "accuracy"}
BYTES = {"head_only": (100, 300), "bias": (1000, 1200), "full": (9000, 9500)}


def row(task, patch, seed, split, metric, value):
    return Measurement(task, "narrow", patch, "32 px", seed, split, metric, value, "unit", "c")


def rows(hidden=(), metrics=ALIKE):
    found = []
    for patch, seed in itertools.product(ACCURACIES, (0, 1)):
        for task, size in zip("ab", BYTES[patch], strict=True):
            accuracy = ACCURACIES[patch][task][seed]
            found.append(row(task, patch, seed, "validation", metrics[task], accuracy / 2))
            if task not in hidden:
                found.append(row(task, patch, seed, "test", metrics[task], accuracy))
            found.append(row(task, patch, seed, "", "patch", size))
            share = {"head_only": 0.0, "bias": size / 100, "full": 100.0}[patch]
            found.append(row(task, patch, seed, "", "share of extractor", share))
    return found


def test_means_and_spread_over_seeds():
    split, (head_only, bias, full) = reporting.outcomes(rows())
    assert split == "test"
    assert head_only.by_task == pytest.approx({"a": 0.45, "b": 0.75})
    assert head_only.mean == pytest.approx(0.60)  # seeds: 0.575 and 0.625
    assert head_only.spread == pytest.approx(0.05 / 2**0.5)  # stdev of two is their gap by root 2
    assert full.mean == pytest.approx(0.80)  # seeds: 0.74375 and 0.85625
    assert full.spread == pytest.approx(0.1125 / 2**0.5)
    assert (head_only.bytes, bias.bytes, full.bytes) == (200, 1100, 9250)


def test_one_seed_has_no_spread():
    outcome = reporting.Outcome("bias", {"a": [0.5], "b": [0.7]}, 1.0, {}, ALIKE)
    assert (outcome.mean, outcome.spread) == (pytest.approx(0.6), 0.0)


def test_hidden_test_labels_make_validation_count():
    split, (head_only, *_) = reporting.outcomes(rows(hidden="b"))
    assert split == "validation"
    assert head_only.mean == pytest.approx(0.30)


@pytest.mark.parametrize(
    ("lowest", "accuracy", "highest", "expected"),
    [
        (0.45, 0.60, 0.85, 0.375),
        (0.50, 0.45, 0.70, -0.25),
        (0.50, 0.80, 0.75, 1.2),
        (0.8, 0.8, 0.8, None),
        (0.8, 0.9, 0.7, None),
    ],
)
def test_share_of_the_way(lowest, accuracy, highest, expected):
    assert reporting.share_of_the_way(lowest, accuracy, highest) == (
        None if expected is None else pytest.approx(expected)
    )


def test_the_text_says_it_all():
    assert reporting.report(*reporting.outcomes(rows())) == (
        "Accuracy on test in %, 2 seeds\n"
        "task          head_only   bias   full\n"
        "-------------------------------------\n"
        "a                 45.00  65.00  85.00\n"
        "b                 75.00  62.50  75.00\n"
        "-------------------------------------\n"
        "mean              60.00  63.75  80.00\n"
        "± over seeds       3.54   3.54   7.95\n"
        "worst domain      45.00  62.50  75.00\n"
        "bytes               200  1,100  9,250\n"
        "\n"
        "How much of the way from head_only to full, in % (-: full gains nothing)\n"
        "task          bias\n"
        "------------------\n"
        "a               50\n"
        "b                -\n"
        "------------------\n"
        "of the means    19\n"
        "\n"
        "bias edits from 10.00 % (a) to 12.00 % (b) of the extractor; rank correlation with what "
        "full gains over head_only: -1.00.\n"
        "\n"
        "bias loses to head_only on b (-12.50 points)."
    )


@pytest.mark.parametrize("metric", ["mean average precision", "R^2"])
def test_another_score_stands_where_accuracy_stood(metric, tmp_path):
    split, own = reporting.outcomes(rows(metrics={"a": metric, "b": metric}))
    usual = reporting.outcomes(rows())
    for text in (reporting.report, reporting.summary):
        title = f"{metric[0].upper()}{metric[1:]} on"
        assert text(split, own) == text(*usual).replace("Accuracy on", title)
    assert reporting.picture(tmp_path / "own.png", split, own)
    assert reporting.picture(tmp_path / "usual.png", *usual)
    assert (tmp_path / "own.png").read_bytes() != (tmp_path / "usual.png").read_bytes()


def test_scores_of_several_kinds_are_never_averaged(tmp_path):
    found = reporting.outcomes(rows(metrics={"a": "accuracy", "b": "R^2"}))
    assert reporting.report(*found) == (
        "Score on test in %, 2 seeds\n"
        "task     head_only   bias   full\n"
        "--------------------------------\n"
        "a            45.00  65.00  85.00\n"
        "b (R^2)      75.00  62.50  75.00\n"
        "--------------------------------\n"
        "bytes          200  1,100  9,250\n"
        "\n"
        "How much of the way from head_only to full, in % (-: full gains nothing)\n"
        "task     bias\n"
        "-------------\n"
        "a          50\n"
        "b (R^2)     -\n"
        "\n"
        "bias edits from 10.00 % (a) to 12.00 % (b) of the extractor.\n"
        "\n"
        "bias loses to head_only on b (R^2) (-12.50 points)."
    )
    assert reporting.summary(*found).splitlines()[:6] == [
        "Each task's own score on test in %",
        "patch      seeds     a  b (R^2)  edits, kB",
        "------------------------------------------",
        "head_only      2  45.0     75.0        0.0",
        "bias           2  65.0     62.5        0.9",
        "full           2  85.0     75.0        9.1",
    ]
    assert not reporting.picture(tmp_path / "picture.png", *found)
    assert not list(tmp_path.iterdir())


def test_one_task_and_equal_gains_are_no_obstacle():
    one = [row for row in rows() if row.task == "a"]
    assert "full" in reporting.report(*reporting.outcomes(one))
    flat = {"a": [0.5], "b": [0.5]}
    outcomes = [
        reporting.Outcome("head_only", flat, 1.0, {"a": 0.0, "b": 0.0}, ALIKE),
        reporting.Outcome("spotpatch", flat, 1.0, {"a": 1.0, "b": 2.0}, ALIKE),
        reporting.Outcome("full", flat, 1.0, {"a": 100.0, "b": 100.0}, ALIKE),
    ]
    assert "what full gains over head_only: 0.00" in reporting.report("test", outcomes)


def test_a_summary_has_a_line_a_patch_by_size():
    """Files of head_only hold heads alone, 200 bytes in the mean."""
    lines = reporting.summary(*reporting.outcomes(rows())).splitlines()
    assert [line.split() for line in lines[3:6]] == [
        ["head_only", "2", "60.00", "3.54", "a", "45.0", "0.0", "0", "%"],
        ["bias", "2", "63.75", "3.54", "b", "62.5", "0.9", "19", "%"],
        ["full", "2", "80.00", "7.95", "b", "75.0", "9.1", "100", "%"],
    ]
    assert "bias loses to head_only on b" in lines[-1]


def test_without_both_ends_there_is_no_way_between_them():
    some = [row for row in rows() if row.patch != "full"]
    text = reporting.report(*reporting.outcomes(some))
    assert "How much of the way" not in text
    assert "bias loses to head_only on b" in text
