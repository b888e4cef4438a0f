import dataclasses
import re

from adapters.heads.contract import Figure
from adapters.training import report

DTD = report.Row("dtd", 0.5, 41_000, 30_000, 8_000, 3_000, 0.4, 0.5, 0.75)
SVHN = report.Row("svhn", 0.75, 1_041_000, 30_000, 8_000, 3_000, 0.4, 0.6, 0.85)


def test_the_table_is_aligned_and_ends_with_the_means():
    tested = dataclasses.replace(SVHN, test_accuracy=0.7)
    lines = report.table([DTD, tested]).splitlines()
    assert {len(line) for line in lines} == {101}
    titles, rule, *cells, last_rule, means = (re.split(" {2,}", line) for line in lines)
    assert titles[:5] == ["task", "validation %", "test %", "patch bytes", "edits"]
    assert titles[5:] == ["statistics", "head", "share %", "+ head %", "+ statistics %"]
    assert rule == last_rule == ["-" * 101]
    sizes = ["30,000", "8,000", "3,000", "0.400"]
    assert cells == [
        ["dtd", "50.00", "-", "41,000", *sizes, "0.500", "0.750"],
        ["svhn", "75.00", "70.00", "1,041,000", *sizes, "0.600", "0.850"],
    ]
    assert means == ["mean", "62.50", "70.00", "541,000", *sizes, "0.550", "0.800"]
    ends = [re.search("patch bytes|41,000|541,000", lines[at]).end() for at in (0, 2, 3, 5)]
    assert len(set(ends)) == 1


def test_columns_nobody_measured_are_left_out():
    assert "head only %" not in report.table([DTD])
    table = report.table([DTD, dataclasses.replace(SVHN, head_only_accuracy=0.125)])
    assert "head only %" in table
    assert table.count("12.50") == 2


def test_a_rule_stands_over_the_last_lines_only_where_asked_for():
    lines = [["setting", "mean"], ["a", "1"], ["b", "20"]]
    cells = ["setting  mean", "-" * 13, "a           1", "b          20"]
    assert report.grid(lines, below=0).splitlines() == cells
    cells.insert(3, "-" * 13)
    assert report.grid(lines, below=1).splitlines() == cells


def test_scores_of_several_kinds_have_no_mean_and_sizes_do():
    text = report.table([DTD, dataclasses.replace(SVHN, metric="R^2")])
    *_, other, _, means = (re.split(" {2,}", line) for line in text.splitlines())
    assert other[0] == "svhn (R^2)"
    sizes = ["30,000", "8,000", "3,000", "0.400"]
    assert means == ["mean", "-", "541,000", *sizes, "0.550", "0.800"]


def test_a_classifier_s_balanced_accuracy_and_baseline_stand_beside_it():
    """Of test where that was scored, else of validation; other figures follow, then warnings."""
    known = {
        "validation": {"accuracy": Figure(0.9, "fraction")},
        "test": {"balanced accuracy": Figure(0.5, "fraction")},
    }
    known["test"]["majority baseline"] = Figure(0.9375, "fraction")
    known["validation"]["balanced accuracy"] = Figure(0.6, "fraction")
    pets = dataclasses.replace(SVHN, figures=known, warnings=["dogs are never predicted"])
    error = {"R^2": Figure(0.1, "fraction"), "error": Figure(2.0, "cm")}
    tall = dataclasses.replace(DTD, metric="R^2", figures={"validation": error})
    table, others, warnings = report.table([pets, tall]).split("\n\n")
    titles, _, first, second, *_ = (re.split(" {2,}", line) for line in table.splitlines())
    assert titles[2:4] == ["balanced %", "majority %"]
    assert (first[2:4], second[2:4]) == (["50.00", "93.75"], ["-", "-"])
    assert others == "dtd: validation error 2 cm"
    assert warnings == "dogs are never predicted"
    untested = dataclasses.replace(pets, figures={"validation": known["validation"]})
    assert " 60.00 " in report.table([untested])
