"""The tutorial's file trained and evaluated by the commands as they are printed."""

import csv
import re

from tests import commands
from tests.imports import ROOT
from tests.launch import small

PRINTED = (ROOT / "docs" / "new_task.md").read_text()


def test_the_tutorial_from_start_to_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELPATCH_CACHE", str(tmp_path / "cache"))
    (task,) = re.findall(r"```python\n(.*?)```", PRINTED, re.DOTALL)
    (tmp_path / "shapes.py").write_text(task)
    weights = f"--weights={small.write_backbone(tmp_path / 'narrow.safetensors')}"
    assert "launch/train --tasks=shapes.py\n" in PRINTED
    small_run = ("--backbone=narrow", weights, "--size=32", "--steps=40", "--groups=2")
    trained = commands.run("tests.launch.small", "--tasks=shapes.py", *small_run)
    assert trained.returncode == 0, trained.stderr
    assert re.search(r"^shapes +[\d.]+ +[\d.]+ ", trained.stdout, re.MULTILINE)
    assert "launch/evaluate out/shapes.patch\n--task=shapes.py" in PRINTED
    arguments = ["tests.launch.small_evaluate", "out/shapes.patch", weights]
    evaluated = commands.run(*arguments, "--task=shapes.py", "--report=report")
    assert "identical to the saved score" in evaluated.stdout, evaluated.stderr
    assert re.search(r"^class +images +answers +recall %", evaluated.stdout, re.MULTILINE)
    with open(tmp_path / "report" / "shapes" / "confusion.csv") as file:
        head, *rows = csv.reader(file)
    assert head == ["class", "square", "disc"]
    assert [sum(map(int, row[1:])) for row in rows] == [150, 150]
    forgotten = commands.run(*arguments)
    assert forgotten.returncode == 2
    assert "--task=shapes.py" in forgotten.stderr
