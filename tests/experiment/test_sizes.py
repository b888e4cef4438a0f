"""One network at several sizes of images: each has its own patch, and its file says the size."""

import csv

import numpy as np
import pytest

import adapters
from adapters.experiment.settings import settings_of
from adapters.experiment.teaching import TeacherError, teacher
from adapters.preprocessing import Preprocessing
from adapters.store.read import read_patch

SIZES = (24, 32)
FEW = {"steps": 6, "groups": 2, "examples": 4, "size": 16, "validations": 0}


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    """(what was fitted, the tasks, which of them each step trained)."""
    directory = tmp_path_factory.mktemp("sizes") / "out"
    tasks = [adapters.Task.from_arrays(*pictures, name="grey").at(size) for size in SIZES]
    trained = []
    fitted = adapters.fit(
        tasks,
        directory=directory,
        train_shared=True,
        on_record=lambda record: trained.append(set(record.losses)),
        **FEW,
    )
    return fitted, tasks, trained


def test_a_step_trains_one_size_and_a_run_all(run):
    _, _, trained = run
    assert all(len(own) == 1 for own in trained)
    assert set.union(*trained) == {f"grey@{size}" for size in SIZES}


def test_files_say_their_size_and_work_at_it(run):
    fitted, tasks, _ = run
    scales = []
    for task, size in zip(tasks, SIZES, strict=True):
        contents = read_patch(fitted.directory / f"grey@{size}.patch")
        assert Preprocessing.from_json(contents.preprocessing).size == size
        scales.append(contents.edits["replace"])
        found = fitted[task.name].evaluate(task)
        assert found.score == found.saved
    assert any(
        np.any(own["scale"] != scales[1][path]["scale"])
        for path, own in scales[0].items()
        if "scale" in own
    )
    with (fitted.directory / "results.csv").open(newline="") as file:
        settings = {row["task"]: row["setting"].split(",")[0] for row in csv.DictReader(file)}
    assert settings == {f"grey@{size}": f"{size} px" for size in SIZES}


def test_a_teacher_sees_what_its_student_sees(run, pictures):
    fitted, tasks, _ = run
    teach = teacher(settings_of(teacher=fitted.directory, size=16), tasks)
    assert teach(1, np.zeros((2, 32, 32, 3), np.uint8))["teacher"].shape == (2, 3)
    odd = adapters.Task.from_arrays(*pictures, name="grey@24", size=40)
    with pytest.raises(TeacherError, match="24 px, this run has the size 40"):
        teacher(settings_of(teacher=fitted.directory), [odd])
