"""Runs that learn from another run's patches."""

import shutil

import numpy as np
import pytest

from adapters.experiment import backbones, evaluation, teaching, training_run
from adapters.experiment.remembered_teacher import remembered
from adapters.experiment.settings import SettingError, settings_of
from adapters.heads.classification import softmax
from adapters.preprocessing import normalise
from adapters.store.edits import apply_edits
from adapters.training import matching
from tasks import registry
from tests import narrow
from tests.launch import small


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """(weights, task names, folder of the teacher's run)."""
    root = tmp_path_factory.mktemp("school")
    weights = small.write_backbone(root / "narrow.safetensors")
    folders = [
        f"folder:{small.write_folder(root / name, classes)}"
        for name, classes in (("greys", 2), ("shades", 3))
    ]
    training_run.run(registry.resolve(folders), small.settings(weights), root / "out", "a test")
    return weights, folders, root / "out"


def test_a_teacher_answers_with_its_patches(school):
    weights, folders, out = school
    tasks = registry.resolve(folders)
    teach = teaching.teacher(small.settings(weights, teacher=str(out)), tasks)
    pixels = narrow.images(1, 4)[0][0]
    opened = evaluation.open_patch(str(out / "shades.patch"), "test", tasks[1], str(weights))
    contents, loaded = opened.contents, backbones.load("narrow", str(weights))
    features = narrow.BACKBONE.apply(
        apply_edits(loaded.weights, contents.edits), normalise(pixels, opened.preprocessing)[2]
    ).features
    expected = softmax(np.asarray(features) @ contents.head["w"] + contents.head["b"])
    found = teach(1, pixels)["teacher"]
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found[2], expected, rtol=1e-4, atol=1e-5)


def test_a_teacher_shows_the_map_that_is_matched(school):
    """The pooled features, of which its head makes the probabilities that it gives beside them."""
    weights, folders, out = school
    tasks = registry.resolve(folders)
    settings = small.settings(weights, teacher=str(out), recipe={"feature_matching": 1.0})
    teach = teaching.teacher(settings, tasks)
    said = teach(1, narrow.images(1, 4)[0][0])
    opened = evaluation.open_patch(str(out / "shades.patch"), "test", tasks[1], str(weights))
    head = opened.contents.head
    again = softmax(said[matching.MAP] @ head["w"] + head["b"])
    np.testing.assert_allclose(said["teacher"], again, rtol=1e-4, atol=1e-5)
    found = teaching.matched(settings, tasks, teach, narrow.BACKBONE)
    assert found == matching.Matched("features", (16, 16))
    plain = small.settings(weights, teacher=str(out))
    assert teaching.matched(plain, tasks, teaching.teacher(plain, tasks), narrow.BACKBONE) is None


def test_a_teacher_of_other_maps_is_refused(school):
    weights, folders, out = school
    recipe = {"feature_matching": 1.0, "matched_map": "stride_2"}
    settings = small.settings(weights, teacher=str(out), recipe=recipe)
    seen = {matching.MAP: np.zeros((4, 8, 8, 8), np.float32)}
    with pytest.raises(teaching.TeacherError, match=r"teacher of greys has the shape \[8, 8, 8\]"):
        teaching.matched(
            settings, registry.resolve(folders), lambda task, pixels: seen, narrow.BACKBONE
        )


def test_each_task_may_have_a_teacher_of_its_own(school, tmp_path):
    """In a folder of the task's name, with the backbone of its own run."""
    weights, folders, out = school
    tasks = registry.resolve(folders)
    for name in ("greys", "shades"):
        (tmp_path / name).mkdir()
        shutil.copy(out / f"{name}.patch", tmp_path / name)
        shutil.copy(out / "run.json", tmp_path / name)
    settings = small.settings(weights, teacher=str(out))
    alone = small.settings(weights, teacher=str(tmp_path))
    pixels = narrow.images(1, 4)[0][0]
    found = [teaching.teacher(each, tasks)(1, pixels)["teacher"] for each in (settings, alone)]
    np.testing.assert_array_equal(*found)
    assert teaching.digest(alone, tasks) == teaching.digest(settings, tasks)


def test_a_teacher_is_asked_once_of_every_image():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2, 5, 4, 4, 3), np.uint8)
    asked = []

    def teach(task, pixels):
        asked.append((task, len(pixels)))
        return {"teacher": pixels.mean(axis=(1, 2)).astype(np.float32) + task}

    class Turns:
        def __init__(self, own):
            self.own = own

        def __getitem__(self, number):
            order = [[0, 1], [2, 3], [4, 2], [1, 0], [3, 4]][number % 5]
            return {"image": self.own[order]}

    told = remembered(teach, [Turns(images[0]), Turns(images[1])], [5, 5])
    assert asked == [(task, 2) for task in (0, 1) for _ in range(3)]
    mixed = images[1][[4, 0, 3]]
    told_again = told(1, mixed)["teacher"]
    np.testing.assert_array_equal(told_again, mixed.mean(axis=(1, 2), dtype=np.float32) + 1)
    assert len(asked) == 6


def test_a_student_takes_after_its_teacher_and_not_the_labels(school, tmp_path, monkeypatch):
    """A teacher who takes each class for the next one is believed."""
    weights, folders, out = school
    task = registry.resolve(folders[1:])

    def wrong(settings, tasks):
        def teach(number, pixels):
            label = np.rint(pixels.mean(axis=(1, 2, 3)) / 255 * 2).astype(int)
            return {"teacher": np.eye(3, dtype=np.float32)[(label + 1) % 3]}

        return teach

    monkeypatch.setattr(teaching, "teacher", wrong)
    recipe = {"distillation": 1.0, "steps": 40}
    settings = small.settings(weights, teacher=str(out), recipe=recipe)
    rows = training_run.run(task, settings, tmp_path / "taught", "a test")
    deaf = small.settings(weights, teacher=str(out), recipe={"distillation": 0.0, "steps": 40})
    right = training_run.run(task, deaf, tmp_path / "deaf", "a test")
    assert rows[0].test_accuracy < 0.4
    assert right[0].test_accuracy > 0.8


def test_a_resumed_run_notices_another_teacher(school, tmp_path):
    weights, folders, out = school
    tasks = registry.resolve(folders)
    settings = small.settings(weights, teacher=str(out), recipe={"distillation": 0.5})
    before = teaching.digest(settings, tasks)
    other = tmp_path / "other"
    shutil.copytree(out, other)
    shutil.copy(other / "greys.patch", other / "shades.patch")
    assert teaching.digest(small.settings(weights, teacher=str(other)), tasks) != before


def test_what_overwriting_would_delete_is_refused(school):
    weights, folders, out = school
    settings = small.settings(weights, teacher=str(out))
    with pytest.raises(SettingError, match="which overwriting would delete"):
        training_run.run(registry.resolve(folders), settings, out, "a test", overwrite=True)
    assert (out / "greys.patch").exists()


def test_what_cannot_teach_is_refused(school, tmp_path):
    weights, folders, out = school
    tasks = registry.resolve(folders)
    with pytest.raises(teaching.TeacherError, match=r"has no greys\.patch, nor has a folder greys"):
        teaching.teacher(small.settings(weights, teacher=str(tmp_path)), tasks)
    with pytest.raises(teaching.TeacherError, match="32 px, this run has the size 64"):
        teaching.teacher(small.settings(weights, teacher=str(out), size=64), tasks)
    with pytest.raises(SettingError, match="distillation"):
        small.settings(weights, recipe={"distillation": 1.5})
    with pytest.raises(SettingError, match="feature_matching is of a teacher's maps"):
        settings_of(feature_matching=1.0)
    with pytest.raises(SettingError, match="matched_map says where a teacher is matched"):
        settings_of(teacher=out, matched_map="stride_16")
