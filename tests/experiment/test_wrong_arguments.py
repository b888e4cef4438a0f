"""Wrong arguments of the library's calls end in our own errors, before anything is trained."""

import pathlib

import numpy as np
import pytest

import adapters
from adapters.errors import ModelPatchError, UnknownNameError
from adapters.experiment import chosen_tasks
from adapters.experiment.backbones import WeightsFileError
from adapters.experiment.chosen_tasks import NoTaskError
from adapters.experiment.settings import SettingError
from adapters.heads.contract import HeadSettingError
from adapters.heads.registry import from_spec
from adapters.preprocessing import Preprocessing, UnreadableImageError
from adapters.runtime.device import network_input
from adapters.store.errors import NotPatchError
from tasks.listing import FolderError
from tasks.registry import SeveralTasksError

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), np.uint8)
NAMES = ["a", "b"] * 20


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (IMAGES, "^ndarray is no task: give a task's name"),
        (None, "^NoneType is no task"),
        (3, "^int is no task"),
        ([], "^no task is given"),
        ((), "^no task is given"),
        ({"images": IMAGES}, "^dict is no task"),
        ([IMAGES, NAMES], "^ndarray is no task"),
        ((IMAGES, NAMES, 1), "^a tuple of 3 is no task"),
        (("digits", 3), "^int is no task"),
    ],
)
def test_what_is_no_task_is_refused(tasks, said):
    for call in (adapters.fit, lambda tasks: adapters.compare(tasks, directory="nowhere")):
        with pytest.raises(NoTaskError, match=said) as refusal:
            call(tasks)
        assert refusal.value.settings == ("tasks",)
    if tasks is not None:
        with pytest.raises(NoTaskError, match=said):
            adapters.evaluate("x.patch", tasks)


def test_a_path_is_a_folder_of_images_or_a_task_s_file(tmp_path):
    for path, said in ((tmp_path / "none", "there is no folder"), (tmp_path / "x.py", "task file")):
        with pytest.raises(ModelPatchError, match=said):
            adapters.fit(path)
    with pytest.raises(FolderError):
        adapters.evaluate("x.patch", tmp_path / "none")


def test_one_task_is_scored_at_a_time():
    with pytest.raises(SeveralTasksError):
        adapters.evaluate("x.patch", "pocket")
    with pytest.raises(SeveralTasksError, match="2 tasks are given"):
        adapters.evaluate("x.patch", ["digits", "stamps"])
    assert chosen_tasks.chosen_one((IMAGES, NAMES)).name == "arrays"


def test_a_folder_of_the_name_is_pointed_out(tmp_path, monkeypatch):
    (tmp_path / "stamp").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match=r"a folder of that name: folder:stamp\. Did you"):
        adapters.fit("stamp")


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: adapters.fit("digits", on_record=3), SettingError, "on_record is 3"),
        (
            lambda: adapters.fit("digits", backbone="mobilenet_v2", weights="no.h5"),
            WeightsFileError,
            "no.h5 cannot be opened: No such file",
        ),
        (
            lambda: adapters.compare("digits", "head_onl", directory="nowhere"),
            UnknownNameError,
            "Did you mean 'head_only'",
        ),
        (
            lambda: adapters.compare("digits", [3], directory="nowhere"),
            SettingError,
            "patches must be specs or patches",
        ),
        (
            lambda: adapters.export_backbone("mobilenet_v2", "z.onnx"),
            SettingError,
            "to is 'litert', and the name z.onnx ends as of 'onnx'",
        ),
        (
            lambda: adapters.export_task("x.patch", "z.tflite", to="inputs"),
            SettingError,
            r"or a name that ends in \.safetensors",
        ),
        (
            lambda: adapters.export_backbone("mobilenet_v2", "z", sizes="32"),
            SettingError,
            "sizes is '32': give whole numbers",
        ),
        (
            lambda: from_spec("regression(units=cm)"),
            HeadSettingError,
            "has no setting 'units'; it has: unit",
        ),
        (
            lambda: from_spec("multilabel(thresholds=3)"),
            HeadSettingError,
            "'multilabel' cannot take thresholds=3",
        ),
    ],
)
def test_a_value_that_cannot_work_is_refused(call, error, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        call()
    assert not [path for path in pathlib.Path().rglob("*") if path.name != ".lock"]


def test_a_device_says_what_it_takes():
    how = Preprocessing(size=8, mean=(0, 0, 0), std=(1, 1, 1))
    with pytest.raises(UnreadableImageError, match="str is no image: give the bytes"):
        network_input("x.png", how)


def test_an_empty_list_of_names_is_said():
    assert str(UnknownNameError("task", "x", [])) == "no task is called 'x'. There is none yet."


def test_another_kind_of_file_is_no_patch(tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(NotPatchError, match=r"this is no patch file.*Give the path of a TASK"):
        adapters.load(tmp_path / "x.png")
