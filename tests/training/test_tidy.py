import csv
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
