"""Answers for files, folders, patterns and lists, with several patches in one pass."""

import csv
import json
import os
import pathlib
import pickle
import types

import numpy as np
import pytest
from PIL import Image

from adapters.backbones import registry
from adapters.experiment import batch_answers, predicting
from adapters.experiment.batch_answers import BatchAnswers, BatchColumnError
from adapters.experiment.image_paths import NoImagesError, image_paths
from adapters.experiment.output import OutputFileError
from adapters.experiment.predictor import Predictor
from adapters.inference.compiled import Inference
from tests import narrow
from tests.device import exported
from tests.launch import small


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images, one of which is none, two patches and their backbone."""
    place = tmp_path_factory.mktemp("place")
    small.write_backbone(place / "narrow.safetensors")
    small.write_folder(place / "images", classes=2, images=3)
    (place / "images" / "class_1" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (place / "images" / "notes.txt").write_text("no image")
    for name, seed in (("first", 2), ("second", 3)):
        exported.patch_file(place, exported.contents(name, seed=seed))
    return place


@pytest.fixture(scope="module")
def predictors(place):
    paths = [place / "first.patch", place / "second.patch"]
    return predicting.load_all(paths, place / "narrow.safetensors")


@pytest.fixture(scope="module")
def answers(place, predictors):
    return list(predicting.predict_files(predictors, image_paths([place / "images"]), top=2))


def test_patches_of_one_backbone_and_size_share_a_network(predictors):
    networks = {id(one._patch.network) for one in predictors.values()}
    assert len(networks) == 1
    assert isinstance(predictors["first"]._patch.network, Inference)
    assert isinstance(predictors["second"], Predictor)


def test_each_image_is_answered_by_each_patch_as_alone(place, predictors, answers):
    good = [one for one in answers if not one.fault]
    assert [one.path for one in good] == sorted(map(str, place.glob("images/*/0*.png")))
    for task, predictor in predictors.items():
        alone = predictor.predict([one.path for one in good])
        for row, one in enumerate(good):
            rows = one.answers[task]
            assert rows[0]["label"] == alone.labels[row]
            wanted = sorted(alone.probabilities[row].tolist(), reverse=True)[:2]
            assert [each["probability"] for each in rows] == wanted


def test_a_file_that_is_no_image_is_said_and_ends_nothing(answers):
    (odd,) = [one for one in answers if one.fault]
    assert odd.path.endswith("broken.png")
    assert odd.fault == "it begins as PNG, but is damaged, or PNG of a kind that cannot be read."
    assert str(odd).startswith(odd.path)


def test_answers_are_written_as_a_table_or_as_lines(tmp_path, answers):
    table, lines = tmp_path / "answers.csv", tmp_path / "answers.jsonl"
    predicting.write_answers(table, answers)
    predicting.write_answers(lines, answers)
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    good = [one for one in answers if not one.fault]
    assert len(rows) == len(good) * 2 * 2 + 1
    assert rows[0]["image"] == good[0].path
    assert (rows[0]["task"], rows[0]["rank"], rows[1]["rank"]) == ("first", "1", "2")
    assert float(rows[0]["probability"]) == good[0].answers["first"][0]["probability"]
    read = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [one["image"] for one in read] == [one.path for one in answers]
    assert read[0]["answers"] == good[0].answers
    with pytest.raises(predicting.OutputFormatError, match=r"must end in \.csv or \.jsonl"):
        predicting.check_output("answers.xlsx")
    before = table.read_bytes()
    with pytest.raises(OutputFileError, match="exists already"):
        predicting.write_answers(table, answers[:1])
    assert table.read_bytes() == before


def test_images_are_named_in_four_ways(tmp_path):
    (tmp_path / "._a.png").write_bytes(b"a system's own")
    for name in ("a.png", "b.JPG", "deep/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / name)
    os.mkfifo(tmp_path / "deep" / "pipe.png")
    (tmp_path / "list.txt").write_text("a.png\n\n deep/c.webp \n")
    (tmp_path / "list.csv").write_text("\ufefflabel,path\nx,b.JPG\ny,a.png\n")
    a, b, c = (str(tmp_path / name) for name in ("a.png", "b.JPG", "deep/c.webp"))
    assert image_paths([tmp_path]) == [a, b, c]
    assert image_paths([tmp_path / "list.txt"]) == [a, c]
    assert image_paths([tmp_path / "list.csv", a]) == [b, a]
    assert image_paths([f"{tmp_path}/**/*.webp", b]) == [c, b]
    for nothing, said in (
        (tmp_path / "none.png", "there is no file"),
        (f"{tmp_path}/*.gif", "holds no image"),
    ):
        with pytest.raises(NoImagesError, match=said):
            image_paths([nothing])
    (tmp_path / "odd.csv").write_text("name,label\nx,y\n")
    with pytest.raises(NoImagesError, match="has the columns name, label"):
        image_paths([tmp_path / "odd.csv"])


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_not_read(predictors, tmp_path, kind):
    path = tmp_path / "x.png"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    (answer,) = predicting.predict_files(predictors, [str(path)], top=1)
    assert answer.fault == "this is no regular file"


def test_two_patches_of_one_task_are_refused(place):
    path = place / "first.patch"
    with pytest.raises(predicting.TwoPatchesError, match="second patch of the task first"):
        predicting.load_all([path, path], place / "narrow.safetensors")


@pytest.fixture
def batched(place, predictors, monkeypatch):
    """Both patches for an engine's batches, whoever loads them."""
    files = [str(place / "first.patch"), str(place / "second.patch")]

    def load_all(patches, weights):
        assert (patches, weights) == (files, "narrow.safetensors")
        return predictors

    monkeypatch.setattr(batch_answers, "load_all", load_all)
    return BatchAnswers(files, weights="narrow.safetensors")


def check_row(path, row, answers):
    (wanted,) = (one for one in answers if one.path == path)
    assert bool(row["fault"]) == bool(wanted.fault)
    for task in () if wanted.fault else ("first", "second"):
        best = wanted.answers[task][0]
        assert row[task] == best["label"]
        assert row[f"{task}.probability"] == pytest.approx(best["probability"], rel=1e-5)


def test_batches_of_an_engine_come_back_with_what_the_patches_say(batched, answers):
    paths = np.array([one.path for one in answers])
    data = np.array([pathlib.Path(path).read_bytes() for path in paths], object)
    found = pickle.loads(pickle.dumps(batched))({"bytes": data, "path": paths})
    assert list(found["path"]) == list(paths)
    for number, path in enumerate(paths):
        check_row(path, {name: own[number] for name, own in found.items()}, answers)
    (broken,) = np.flatnonzero(found["fault"] != "")
    assert (found["first"][broken], np.isnan(found["first.probability"][broken])) == ("", True)
    alone = batched({"bytes": data[[broken]]})
    assert set(alone) == {"first", "second", "fault"}


def test_columns_of_batches_that_are_not_there_or_taken_are_named(batched):
    with pytest.raises(BatchColumnError, match=r"has the columns image; .* should be in bytes"):
        batched({"image": np.zeros((1, 4, 4, 3), np.uint8)})
    with pytest.raises(BatchColumnError, match="has a column fault already"):
        batched({"bytes": np.array([b""], object), "fault": np.array([1])})


def test_a_head_that_says_more_than_a_class_says_all_of_it(monkeypatch):
    said = [{"label": "height", "value": 1.5}, {"label": "age", "value": 30.0}]
    people = types.SimpleNamespace(
        card=types.SimpleNamespace(head_kind="regression", head_settings={}),
        listed=lambda images: [said for _ in images],
    )
    monkeypatch.setattr(batch_answers, "load_all", lambda *_: {"people": people})
    found = BatchAnswers(["people.patch"])({"bytes": np.array([b"", b""], object)})
    assert [json.loads(row) for row in found["people"]] == [said, said]
    assert set(found) == {"people", "fault"}


def made_of(place):
    return {
        "patches": [str(place / "first.patch"), str(place / "second.patch")],
        "weights": str(place / "narrow.safetensors"),
    }


@pytest.mark.filterwarnings("default")  # Ray warns of its own settings
def test_ray_data_takes_it_as_it_is(place, answers):
    """Opt-in: `pip install 'ray[data]'` beside the test requirements."""
    ray = pytest.importorskip("ray")
    files = ray.data.read_binary_files(str(place / "images"), include_paths=True)
    found = files.map_batches(
        NarrowAnswers, fn_constructor_kwargs=made_of(place), batch_size=4, concurrency=1
    )
    rows = {row["path"]: row for row in found.take_all()}
    ray.shutdown()
    for one in answers:
        check_row(one.path, rows[one.path], answers)


class NarrowAnswers(BatchAnswers):
    """In a worker that was not told of the narrow backbone."""

    def __init__(self, **settings):
        registry.TABLES["narrow"] = lambda: narrow.TABLE
        super().__init__(**settings)


def test_beam_takes_it_as_it_is(place, answers):
    """Opt-in: `pip install apache-beam` beside the test requirements."""
    beam = pytest.importorskip("apache_beam")
    inference = pytest.importorskip("apache_beam.ml.inference.base")
    util = pytest.importorskip("apache_beam.testing.util")

    from adapters.experiment.beam_answers import BeamAnswers

    paths = [one.path for one in answers]

    def check(results):
        assert sorted(path for path, _ in results) == sorted(paths)
        for path, result in results:
            check_row(path, result.inference, answers)

    with beam.Pipeline() as pipeline:
        files = [(path, pathlib.Path(path).read_bytes()) for path in paths]
        handler = inference.KeyedModelHandler(BeamAnswers(**made_of(place)))
        util.assert_that(pipeline | beam.Create(files) | inference.RunInference(handler), check)
