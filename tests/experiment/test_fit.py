"""The library's verbs, as a notebook calls them."""

import io
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

import adapters
from adapters.errors import DuplicateNameError, UnknownNameError
from adapters.experiment import training_run
from adapters.experiment.output import OutputFolderError
from adapters.experiment.pictures import PictureError
from adapters.experiment.predictor import PredictionInputError
from adapters.experiment.settings import DEFAULTS, SettingError, settings_of
from adapters.store.errors import DigestError, FingerprintError
from adapters.training import tidy
from adapters.training.checkpoint import ConfigurationMismatchError
from tasks.arrays import ArraysError
from tests.launch import small

FEW = {"steps": 12, "groups": 2, "examples": 4, "size": 32, "patch_rate": 3e-3, "head_rate": 1e-2}
LONG = FEW | {"steps": 60}


@pytest.fixture(scope="module")
def fitted(pictures):
    """Fitted to arrays, in a temporary folder, with the records of the run."""
    records = []
    made = adapters.fit(pictures, on_record=records.append, **LONG)
    return made, records


def test_arrays_are_learned(fitted):
    made, _ = fitted
    (row,) = made.rows
    assert row.task == "arrays"
    assert row.test_accuracy > 0.8
    assert made.summary in repr(made)
    assert list(made) == ["arrays"]


def test_each_step_gives_a_record(fitted):
    _, records = fitted
    assert [record.step for record in records] == list(range(1, 61))
    assert all(set(record.losses) == {"arrays"} for record in records)
    scored = [record.step for record in records if record.scores]
    assert scored == [12, 24, 36, 48, 60]
    assert records[-1].losses["arrays"] < records[0].losses["arrays"]


def test_the_last_record_s_score_is_the_row_s(fitted):
    made, records = fitted
    assert records[-1].scores == {"arrays": made.rows[0].validation_accuracy}


def test_a_record_s_losses_are_those_of_the_metrics_file(fitted):
    made, records = fitted
    lines = (made.directory / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    found = {one["step"]: one["train/loss/arrays"] for one in logged if "train/loss/arrays" in one}
    assert found == {record.step: record.losses["arrays"] for record in records}


def test_a_predictor_names_what_it_sees_in_every_form(fitted, pictures, tmp_path):
    made, _ = fitted
    images, names = pictures
    predictor = made["arrays"]
    assert predictor.labels == ("black", "grey", "white")
    labels, probabilities = predictor.predict(images)
    assert np.mean(np.asarray(labels) == names) > 0.8
    assert probabilities.shape == (60, 3)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert [predictor.labels[best] for best in probabilities.argmax(axis=1)] == list(labels)

    path, buffer = tmp_path / "one.png", io.BytesIO()
    Image.fromarray(images[0]).save(path)
    Image.fromarray(images[0]).save(buffer, "png")
    forms = [images[0], str(path), path, buffer.getvalue(), Image.fromarray(images[0])]
    for form in (*forms, forms):
        alone = predictor.predict(form)
        assert set(alone.labels) == {labels[0]}
        assert np.allclose(alone.probabilities, probabilities[0], atol=1e-5)
    assert predictor.predict([]).probabilities.shape == (0, 3)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), r"float32 \[8, 8, 3\]"),
        (np.zeros((8, 8), np.uint8), r"uint8 \[8, 8\]"),
        ("nowhere.png", "nowhere.png: No such file"),
        (b"no image", "no image of a kind"),
        ([1.5], "float is no image"),
        (None, "NoneType is no image"),
        ({"image": b""}, "dict is no image, nor a list"),
    ],
)
def test_what_is_no_image_is_refused(fitted, images, said):
    with pytest.raises(PictureError, match=said):
        fitted[0]["arrays"].predict(images)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (np.zeros(3), r"inputs is ndarray; it must be {name: numbers}"),
        ({"place": "abc"}, "the patch for arrays does not read place in words"),
        ({"place": [[1.0], [2.0, 3.0]]}, "the input place must be numbers"),
        ({"place": [[1.0]]}, "the patch reads nothing"),
    ],
)
def test_inputs_that_are_none_are_refused(fitted, pictures, inputs, said):
    with pytest.raises(PredictionInputError, match=said):
        fitted[0]["arrays"].predict(pictures[0][0], inputs)


def test_a_mistyped_task_of_a_fit_offers_near_ones(fitted):
    with pytest.raises(UnknownNameError, match="Did you mean 'arrays'"):
        fitted[0]["array"]


def test_saved_files_are_the_run_s_and_load_in_another_place(fitted, pictures, tmp_path):
    made, _ = fitted
    made.save(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"arrays.patch", "results.csv", "table.txt", "curves.png", "run.json"} <= names
    assert ".lock" not in names
    with pytest.raises(OutputFolderError, match="exists already"):
        made.save(tmp_path / "out")
    loaded = adapters.load(tmp_path / "out" / "arrays.patch")
    assert loaded.card.task == "arrays"
    again, first = loaded.predict(pictures[0]), made["arrays"].predict(pictures[0])
    assert again.labels == first.labels
    task = adapters.Task.from_arrays(*pictures)
    found = loaded.evaluate(task)
    assert found.score == found.saved == made.rows[0].test_accuracy
    path = tmp_path / "out" / "arrays.patch"
    assert adapters.evaluate(path, pictures) == adapters.evaluate(path, task) == found
    assert loaded.evaluate(pictures) == found


def test_a_failing_fit_leaves_no_temporary_folder(pictures, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(UnknownNameError, match="Did you mean 'mobilenet_v2'"):
        adapters.fit(pictures, backbone="mobilenet_v", **FEW)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_not_loaded(fitted, tmp_path):
    made, _ = fitted
    data = bytearray((made.directory / "arrays.patch").read_bytes())
    data[-5] ^= 4
    (tmp_path / "arrays.patch").write_bytes(data)
    with pytest.raises(DigestError):
        adapters.load(tmp_path / "arrays.patch")


def test_another_backbone_is_refused(fitted, tmp_path, pictures):
    made, _ = fitted
    shared = adapters.fit(pictures, train_shared=True, directory=tmp_path / "out", **FEW)
    weights = shared.directory / "backbone.safetensors"
    with pytest.raises(FingerprintError):
        adapters.load(made.directory / "arrays.patch", weights=weights)
    here, file = shared["arrays"], adapters.load(shared.directory / "arrays.patch", weights=weights)
    assert here.predict(pictures[0]).labels == file.predict(pictures[0]).labels


def test_a_run_iterated_left_and_resumed_gives_the_same_bytes(fitted, pictures, tmp_path):
    made, _ = fitted
    tasks = [adapters.Task.from_arrays(*pictures)]
    for resume in (False, True):
        run = training_run.Run(tasks, settings_of(**LONG), tmp_path / "out", resume=resume)
        for record in run:
            if record.step == 7 and not resume:
                break
    wanted = (made.directory / "arrays.patch").read_bytes()
    assert (tmp_path / "out" / "arrays.patch").read_bytes() == wanted
    assert run.rows == made.rows


def test_names_folders_tasks_and_arrays_train_together(pictures, tmp_path):
    folder = small.write_folder(tmp_path / "greys", 2)
    named = adapters.Task.from_arrays(*pictures, name="mine")
    made = adapters.fit([f"folder:{folder}", named, pictures, pictures], **FEW)
    assert list(made) == ["greys", "mine", "arrays", "arrays_2"]
    temporary = made.directory
    assert (temporary / "arrays_2.patch").exists()
    del made
    assert not temporary.exists()
    with pytest.raises(DuplicateNameError, match="mine"):
        adapters.fit([named, adapters.Task.from_arrays(*reversed_(pictures), name="mine")])


def reversed_(pictures):
    images, names = pictures
    return images[::-1], names[::-1]


def test_a_run_on_other_arrays_is_not_resumed(fitted, pictures, tmp_path):
    fitted[0].save(tmp_path / "out")
    images, names = pictures
    moved = images.copy()
    moved[0, 0, 0, 0] ^= 1
    with pytest.raises(ConfigurationMismatchError, match=r"data\.arrays\.\w+ was .*digest"):
        adapters.fit((moved, names), directory=tmp_path / "out", resume=True, **LONG)


def test_the_results_say_how_the_run_is_repeated(fitted):
    (command,) = {row.command for row in tidy.read(fitted[0].directory / "results.csv")}
    assert command == (
        "adapters.fit(['arrays'], size=32, groups=2, examples=4, steps=60, head_rate=0.01)"
    )


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"step": 3}, UnknownNameError, "no setting is called 'step'. Did you mean 'steps'"),
        ({"recipe": None}, UnknownNameError, "no setting is called 'recipe'"),
        ({"steps": "300"}, SettingError, "steps must be a whole number, not '300'"),
        ({"steps": True}, SettingError, "steps must be a whole number, not True"),
        ({"head_rate": "fast"}, SettingError, "head_rate must be a number"),
        ({"train_shared": 1}, SettingError, "train_shared must be True or False"),
        ({"weights": 3}, SettingError, "weights must be a text"),
        ({"distillation": 0.5}, SettingError, "give a teacher too"),
        ({"shared_rate": 0.5}, SettingError, "give train_shared too"),
        ({"resume": True}, SettingError, "directory is needed"),
        ({"patch": "scale_bais"}, UnknownNameError, "Did you mean 'scale_bias'"),
    ],
)
def test_settings_that_cannot_be_are_refused(pictures, settings, error, said):
    with pytest.raises(error, match=said):
        adapters.fit(pictures, **settings)


def test_what_cannot_be_learned_from_is_refused(pictures):
    with pytest.raises(ArraysError):
        adapters.fit((pictures[0], pictures[1][:-1]), **FEW)


def test_settings_not_given_are_the_documented_defaults():
    plain = settings_of()
    assert (plain.patch, plain.size, plain.groups, plain.examples) == ("scale_bias", 64, 4, 16)
    assert (plain.recipe.steps, plain.recipe.patch_rate, plain.recipe.head_rate) == (
        *(1500, 3e-3, 3e-3),
    )
    assert (plain.recipe.shared_rate, plain.recipe.distillation) == (0, 0)
    assert settings_of(patch="full").recipe.patch_rate == 1e-3
    assert settings_of(patch="full", patch_rate=0.5).recipe.patch_rate == 0.5
    assert plain.ships_best
    assert not settings_of(patch="bias+spotpatch(scale_bias())").ships_best
    assert settings_of(patch="spotpatch(bias())", checkpoint="best").ships_best
    assert not settings_of(validations=0).ships_best
    assert settings_of(train_shared=True).recipe.shared_rate == 1e-4
    assert settings_of(teacher="school").recipe.distillation == 1
    assert settings_of(**DEFAULTS) == settings_of(**dict.fromkeys(DEFAULTS)) == plain


def test_numbers_of_numpy_and_paths_become_plain_values():
    made = settings_of(steps=np.int64(3), head_rate=np.float32(0.5), data_dir=pathlib.Path("a"))
    assert json.dumps([made.recipe.steps, made.recipe.head_rate, made.data_dir]) == '[3, 0.5, "a"]'
