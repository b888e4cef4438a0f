import csv
import dataclasses
import os

import pytest

from adapters.training import tidy

HEADER = "task,backbone,patch,setting,seed,split,metric,value,unit,command\n"


def row(task: str, value: float = 1.5) -> tidy.Measurement:
    command = 'train --task=a --note="x, y"'
    return tidy.Measurement(
        task, "mobilenet_v2_1.0", "scale_bias", "", 0, "test", "accuracy", value, "%", command
    )


def test_rows_are_added_below_those_already_there(tmp_path):
    path = tmp_path / "results" / "quality.csv"
    tidy.append(path, [row("dtd"), row("svhn", 0.1 + 0.2)])
    before = path.read_bytes()
    assert before.startswith(HEADER.encode())
    tidy.append(path, [row("gtsrb", 1e-9)])
    assert path.read_bytes().startswith(before)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["task"] for r in rows] == ["dtd", "svhn", "gtsrb"]
    assert [float(r["value"]) for r in rows] == [1.5, 0.1 + 0.2, 1e-9]
    assert {r["command"] for r in rows} == {'train --task=a --note="x, y"'}
    assert os.listdir(path.parent) == ["quality.csv"]


def test_a_last_line_without_an_end_stays_a_line(tmp_path):
    path = tmp_path / "quality.csv"
    path.write_text(HEADER + "dtd,m,p,,0,test,accuracy,1,%,c")
    tidy.append(path, [row("svhn")])
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["task", "dtd", "svhn"]


@pytest.mark.parametrize("text", ["", "task,value\n", HEADER.replace("seed", "Seed")])
def test_other_columns_are_refused(tmp_path, text):
    path = tmp_path / "quality.csv"
    path.write_text(text)
    with pytest.raises(tidy.ColumnsError, match=r"quality\.csv has the columns"):
        tidy.append(path, [row("dtd")])
    assert path.read_text() == text


def test_rows_read_and_written_again_keep_their_bytes(tmp_path):
    tidy.append(tmp_path / "first.csv", [row("dtd", 0.1 + 0.2), row("svhn", 1234), row("a,b", 1.0)])
    tidy.append(tmp_path / "again.csv", tidy.read(tmp_path / "first.csv"))
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "first.csv").read_bytes()
    assert [type(row.value) for row in tidy.read(tmp_path / "first.csv")] == [float, int, float]


def test_an_update_takes_the_place_of_what_measured_the_same(tmp_path):
    path = tmp_path / "quality.csv"
    tidy.update(path, [row("dtd"), row("svhn")])
    other = dataclasses.replace(row("dtd", 7), seed=1)
    tidy.update(path, [dataclasses.replace(row("dtd", 9), command="new"), other])
    assert tidy.read(path) == [
        dataclasses.replace(row("dtd", 9), command="new"),
        row("svhn"),
        other,
    ]


@pytest.mark.parametrize("change", [tidy.read, lambda path: tidy.update(path, [row("dtd")])])
def test_a_file_with_other_columns_is_neither_read_nor_updated(tmp_path, change):
    path = tmp_path / "quality.csv"
    path.write_text("task,value\n")
    with pytest.raises(tidy.ColumnsError):
        change(path)
    assert path.read_text() == "task,value\n"
