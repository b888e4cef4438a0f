"""Runs that learn from another run's patches."""

import numpy as np
import pytest

from adapters.device.early_exit import probabilities
from adapters.heads import classification
from adapters.preprocessing import normalise
from adapters.store.edits import apply_edits
from adapters.store.read import read_patch
from launch import backbones, evaluation, experiment, teaching
from launch.settings import SettingError
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
    experiment.run(registry.resolve(folders), small.settings(weights), root / "out", "a test")
    return weights, folders, root / "out"


def test_a_teacher_answers_with_its_patches(school):
    weights, folders, out = school
    tasks = registry.resolve(folders)
    layout = classification.layout([2, 3])
    teach = teaching.teacher(small.settings(weights, teacher=str(out)), tasks, layout)
    pixels = narrow.images(1, 4)[0][0]
    opened = evaluation.open_patch(str(out / "shades.patch"), "test", tasks[1], str(weights))
    contents, loaded = opened.contents, backbones.load("narrow", str(weights))
    features = narrow.BACKBONE.apply(
        apply_edits(loaded.weights, contents.edits), normalise(pixels, opened.preprocessing)[2]
    ).features
    expected = probabilities(np.asarray(features)[None], contents.head["w"], contents.head["b"])
    found = teach(1, pixels)
    assert found.shape == (4, 5)
    np.testing.assert_allclose(found[2, 2:], expected[0], rtol=1e-4, atol=1e-5)
    assert not found[:, :2].any()


def test_a_student_takes_after_its_teacher(school, tmp_path):
    """With labels out of the loss, it is the teacher's answers that the student comes to give."""
    weights, folders, out = school
    tasks = registry.resolve(folders)
    agreed = {}
    for name, recipe in (
        ("alone", {}),
        ("taught", {"distillation": 1.0}),
    ):
        teacher = str(out) if recipe else None
        settings = small.settings(weights, patch="head_only", teacher=teacher, recipe=recipe)
        experiment.run(tasks, settings, tmp_path / name, "a test")
        head = read_patch(tmp_path / name / "shades.patch").head
        agreed[name] = {leaf: array.tobytes() for leaf, array in head.items()}
    assert agreed["alone"] != agreed["taught"]
    again = small.settings(
        weights, patch="head_only", teacher=str(out), recipe={"distillation": 0.0}
    )
    experiment.run(tasks, again, tmp_path / "deaf", "a test")
    head = read_patch(tmp_path / "deaf" / "shades.patch").head
    alone = read_patch(tmp_path / "alone" / "shades.patch").head
    for leaf in ("w", "b"):
        np.testing.assert_allclose(head[leaf], alone[leaf], rtol=1e-5, atol=1e-6)


def test_what_cannot_teach_is_refused(school, tmp_path):
    weights, folders, out = school
    tasks = registry.resolve(folders)
    layout = classification.layout([2, 3])
    with pytest.raises(teaching.TeacherError, match=r"has no greys\.patch"):
        teaching.teacher(small.settings(weights, teacher=str(tmp_path)), tasks, layout)
    with pytest.raises(teaching.TeacherError, match="32 px, this run has --size=64"):
        teaching.teacher(small.settings(weights, teacher=str(out), size=64), tasks, layout)
    with pytest.raises(SettingError, match="distillation"):
        small.settings(weights, recipe={"distillation": 1.5})
