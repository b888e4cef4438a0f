"""The tutorial's file, run as it is printed."""

import pathlib
import re

import numpy as np
import pytest

from adapters.preprocessing import Preprocessing
from tasks import loading, pipeline, registry

TUTORIAL = pathlib.Path(__file__).parents[2] / "docs" / "new_task.md"


@pytest.mark.usefixtures("cache", "fresh_registry")
def test_the_tutorial_gives_a_task(tmp_path):
    (printed,) = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    assert len(printed.splitlines()) <= 25
    path = tmp_path / "shapes.py"
    path.write_text(printed)
    (task,) = registry.resolve([str(path)])
    assert [loading.task_size(task, split) for split in task.splits] == [1400, 300, 300]
    pixels = [
        {example["image"].tobytes() for example in loading.open_split(task, split)}
        for split in task.splits
    ]
    assert len(set.union(*pixels)) == 2000
    settings = Preprocessing(32, (127.0,) * 3, (128.0,) * 3, task.fit, task.background)
    batch = next(pipeline.training_iterator(task, settings, 16, seed=0))
    assert batch["image"].shape == (16, 32, 32, 3)
    assert set(np.unique(batch["label"])) == {0, 1}


@pytest.mark.usefixtures("cache", "fresh_registry")
def test_an_edited_file_makes_its_images_anew(tmp_path, monkeypatch):
    (printed,) = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    corners = []
    for number, colour in enumerate(("white", "red")):
        monkeypatch.setattr(registry, "_TASKS", {})
        path = tmp_path / str(number) / "shapes.py"
        path.parent.mkdir()
        path.write_text(printed.replace('"white"', f'"{colour}"'))
        (task,) = registry.resolve([str(path)])
        corners.append(loading.open_split(task, "test")[0]["image"][-1, -1].tolist())
    assert corners == [[255, 255, 255], [255, 0, 0]]
