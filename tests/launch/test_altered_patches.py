"""Patch files whose preprocessing or parity image was changed: every command refuses them alike."""

import dataclasses

import pytest

from adapters.benchmarking.serving import run as benchmark
from adapters.errors import UnknownNameError
from adapters.experiment import backbones, evaluation, exporting, serving
from adapters.inference import compiled
from adapters.store import errors
from tasks import hub
from tasks.listing import FolderError
from tests import narrow
from tests.device import exported
from tests.launch import small

LABELS = ("class_0", "class_1")
LARGE = 10**7  # a side: an image that fits no memory


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the narrow backbone and a task."""
    place = tmp_path_factory.mktemp("place")
    small.write_backbone(place / "narrow.safetensors")
    small.write_folder(place / "squares", classes=2)
    return place


def evaluated(place, patch):
    weights, task = str(place / "narrow.safetensors"), f"folder:{place / 'squares'}"
    return evaluation.evaluate(patch, "validation", task, weights, None)


def exported_alone(place, patch):
    loaded = backbones.load("narrow", str(place / "narrow.safetensors"))
    return exporting.checked_patch(loaded, patch)


def served(place, patch):
    weights = str(place / "narrow.safetensors")
    wanted = serving.Wanted("narrow", weights, [narrow.SIZE], 1, (1,), "norms")
    return serving.from_files([patch], wanted)


COMMANDS = (evaluated, exported_alone, served)


def image(**fields):
    return lambda made: {"parity": dataclasses.replace(made.parity, **fields)}


def preprocessed(**fields):
    return lambda made: {"preprocessing": {**made.preprocessing, **fields}}


def large(made):
    shape = (LARGE, LARGE, 3)
    return {**image(shape=shape)(made), **preprocessed(size=LARGE)(made)}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (preprocessed(mean=[0.0, 0.0, 0.0]), "the backbone was trained with"),
        (preprocessed(std=[1.0, 1.0, 1.0]), "the backbone was trained with"),
        (preprocessed(size=48), "48 x 48 x 3, but the parity image has 32 x 32 x 3"),
        (preprocessed(fit="crop"), "fit 'crop' and background"),
        (preprocessed(background=[0, 0, 0]), r"background \(0, 0, 0\)"),
        (preprocessed(fit="zoom"), "fit is 'zoom'"),
        (image(shape=(LARGE, LARGE, 3)), f"the parity image has {LARGE} x {LARGE} x 3"),
        (image(shape=(32, 32, LARGE)), f"the parity image has 32 x 32 x {LARGE}"),
        (large, f"scaled to {LARGE} pixels a side, at most 1024 are allowed"),
    ],
)
def test_a_patch_that_was_changed_is_refused(place, tmp_path, monkeypatch, command, change, said):
    made = exported.contents("squares", classes=2, labels=LABELS)
    path = exported.patch_file(tmp_path, dataclasses.replace(made, **change(made)))

    def never(*_):
        raise AssertionError("an image was made of what the file says")

    monkeypatch.setattr(compiled.parity, "seeded_image", never)
    with pytest.raises(errors.PreprocessingMismatchError, match=rf"squares\.patch: .*{said}"):
        command(place, str(path))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_patch_itself_and_one_of_before_seeds_were_bound_are_not(place, tmp_path, command):
    made = exported.contents("squares", classes=2, labels=LABELS)
    command(place, str(exported.patch_file(tmp_path, made)))
    older = exported.contents("squares", classes=2, labels=LABELS, image=0)
    other = dataclasses.replace(older, **preprocessed(fit="crop")(older))
    command(place, str(exported.patch_file(tmp_path, other)))


@pytest.mark.parametrize("name", ["evil.py", "pocket"])
def test_a_name_in_a_file_runs_and_opens_nothing(place, tmp_path, monkeypatch, name):
    """A file may be called like a task file that lies beside it, or like a suite."""
    (tmp_path / "evil.py").write_text(f"import pathlib\npathlib.Path('{tmp_path}/ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    path = exported.patch_file(tmp_path, exported.contents(name, classes=2, labels=LABELS))
    weights = str(place / "narrow.safetensors")
    with pytest.raises(evaluation.TaskNeededError, match=f"'{name}'"):
        evaluation.open_patch(path, "validation", None, weights)
    with pytest.raises(UnknownNameError, match=f"'{name}'"):
        benchmark._tasks([exported.contents(name, classes=2, labels=LABELS)], [])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "said",
    [
        '{"mine": "evil.py"}',
        '{"mine": "folder:evil.py"}',
        '{"mine": "mine=hf:someone/evil"}',
        '{"mine": "digits"}',
        '{"mine": ["evil.py"]}',
        '["mine"]',
        "{",
        "",
    ],
)
def test_nor_does_what_lies_beside_it(place, tmp_path, monkeypatch, said):
    (tmp_path / "evil.py").write_text(f"import pathlib\npathlib.Path('{tmp_path}/ran').touch()\n")
    (tmp_path / "tasks.json").write_text(said)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "loaded", lambda place: pytest.fail(f"{place} was asked for"))
    path = exported.patch_file(tmp_path, exported.contents("mine", classes=2, labels=LABELS))
    with pytest.raises((evaluation.TaskNeededError, FolderError)):
        evaluation.open_patch(path, "validation", None, str(place / "narrow.safetensors"))
    assert not (tmp_path / "ran").exists()
