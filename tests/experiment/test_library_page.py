"""`docs/library.md` and the notebook, run as they are printed, on the narrow network."""

import contextlib
import importlib.util
import io
import json
import re
import shutil

import matplotlib
import numpy as np
import pytest

from tasks import registry, suites
from tasks.task import Task
from tests.imports import ROOT
from tests.launch import small

PAGE = (ROOT / "docs" / "library.md").read_text()
TOUR = json.loads((ROOT / "docs" / "tour.ipynb").read_text())
README = (ROOT / "README.md").read_text()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with photographs of two classes."""
    small.write_folder(tmp_path / "photographs", 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def digits(monkeypatch):
    """`digits` are squares of three greys: the notebook's own would be fetched."""
    matplotlib.use("Agg")
    generator = np.random.default_rng(0)
    grey = np.asarray([0, 128, 255] * 80).reshape(-1, 1, 1, 1)
    images = np.clip(grey + generator.integers(-40, 40, (240, 8, 8, 3)), 0, 255).astype(np.uint8)
    task = Task.from_arrays(images, ["black", "grey", "white"] * 80, name="digits")
    registry.known()
    monkeypatch.setitem(registry._TASKS, "digits", task)


def test_the_page_runs_as_printed(here):
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) > 8
    if importlib.util.find_spec("litert_converter") is None:
        blocks = [block for block in blocks if "Device(" not in block]
    printed, names = io.StringIO(), {}
    with contextlib.redirect_stdout(printed):
        for block in blocks:
            exec(block, names)
    said = printed.getvalue()
    assert "('class_0', 'class_1') (2, 2)" in said
    assert "identical to the saved score" in said
    for comment in re.findall(r"print\(.*\)  +# (\(.*|scale_bias\+.*|custom)$", PAGE, re.M):
        assert comment in said, comment
    assert {path.name for path in (here / "out").iterdir()} >= {"photographs.patch", "results.csv"}
    assert len(names["losses"]) == 20


@pytest.mark.usefixtures("digits")
def test_the_notebook_runs_and_ends_with_a_picture():
    code = [cell for cell in TOUR["cells"] if cell["cell_type"] == "code"]
    cells = ["".join(cell["source"]) for cell in code]
    assert sum(bool(line.strip()) for cell in cells for line in cell.splitlines()) <= 12
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    names = {}
    for cell in cells:
        exec(cell, names)
    titles = [axis.get_title() for axis in names["figure"].axes]
    assert len(titles) == 24
    assert all(re.fullmatch(r"(black|grey|white): \d+%", title) for title in titles)
    shown = [axis.get_images()[0].get_array() for axis in names["figure"].axes]
    assert np.array_equal(np.asarray(shown), np.asarray(names["images"]))
    right = [unseen["label"] for unseen in list(names["unseen"])[:24]]
    said = [("black", "grey", "white").index(label) for label in names["labels"]]
    assert np.mean(np.equal(said, right)) > 0.8


@pytest.mark.usefixtures("digits")
def test_the_readme_s_first_screen_leads_here_and_its_example_runs(here, monkeypatch):
    """In fewer steps, on a suite of one task."""
    monkeypatch.setitem(suites.SUITES, "pocket", ("digits",))
    first = README.partition("## Results")[0]
    assert "docs/library.md" in first
    assert "docs/tour.ipynb" in first
    (example,) = re.findall(r"```python\n(.*?)```", first, re.DOTALL)
    assert len([line for line in example.splitlines() if line]) == 5
    shutil.copy(here / "photographs" / "class_0" / "000.png", here / "three.png")
    names = {}
    exec(example.replace("steps=300", "steps=6"), names)
    assert names["labels"][0] in ("black", "grey", "white")
    assert (here / "out" / "digits.patch").exists()
