"""The tutorial's file trained and evaluated by the commands as they are printed."""

import csv
import os
import re
import subprocess
import sys

from tests.imports import ROOT
from tests.launch import small

PRINTED = (ROOT / "docs" / "new_task.md").read_text()


def run(arguments, folder):
    return subprocess.run(
        [sys.executable, "-P", "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MODELPATCH_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
    )


def test_the_tutorial_from_start_to_end(tmp_path):
    (task,) = re.findall(r"```python\n(.*?)```", PRINTED, re.DOTALL)
    (tmp_path / "shapes.py").write_text(task)
    weights = f"--weights={small.write_backbone(tmp_path / 'narrow.safetensors')}"
    assert "launch/train --tasks=shapes.py\n" in PRINTED
    small_run = ("--backbone=narrow", weights, "--size=32", "--steps=40", "--groups=2")
    trained = run(["tests.launch.small", "--tasks=shapes.py", *small_run], tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert re.search(r"^shapes +[\d.]+ +[\d.]+ ", trained.stdout, re.MULTILINE)
    assert "launch/evaluate out/shapes.patch\n--task=shapes.py" in PRINTED
    arguments = ["tests.launch.small_evaluate", "out/shapes.patch", weights]
    evaluated = run([*arguments, "--task=shapes.py", "--report=report"], tmp_path)
    assert "identical to the saved score" in evaluated.stdout, evaluated.stderr
    assert re.search(r"^class +images +answers +recall %", evaluated.stdout, re.MULTILINE)
    with open(tmp_path / "report" / "shapes" / "confusion.csv") as file:
        head, *rows = csv.reader(file)
    assert head == ["class", "square", "disc"]
    assert [sum(map(int, row[1:])) for row in rows] == [150, 150]
    forgotten = run(arguments, tmp_path)
    assert forgotten.returncode == 2
    assert "--task=shapes.py" in forgotten.stderr
