"""Answers for files, folders, patterns and lists, with several patches in one pass."""

import csv
import json
import os

import numpy as np
import pytest
from PIL import Image

from adapters.experiment import predicting
from adapters.experiment.image_paths import NoImagesError, image_paths
from adapters.experiment.output import OutputFileError
from adapters.experiment.predictor import Predictor
from adapters.inference.compiled import Inference
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
