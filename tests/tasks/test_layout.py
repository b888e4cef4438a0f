"""The cache of a task's images: TFDS's layout, whole or absent, the same on every machine."""

import dataclasses
import pickle

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tasks import layout, loading, records
from tasks.task import TaskError, UnknownSplitError
from tests.tasks.stand_in import tiny_task

pytestmark = pytest.mark.usefixtures("cache")


def carried(examples, **settings):
    task = tiny_task(**settings)
    return dataclasses.replace(task, source=layout.Carried(lambda: examples))


def split_examples(image: Image.Image):
    return [layout.Example(split, split, image, 0) for split in ("train", "validation", "test")]


def test_what_is_written_is_read_back_once_made():
    task = tiny_task(images=5)
    opened = loading.open_split(task, "train")
    found = {example["name"]: example for example in opened}
    assert sorted(found) == [f"train-{number:03d}" for number in range(5)]
    assert found["train-003"]["label"] == 1
    assert found["train-003"]["image"].shape == (6, 8, 3)
    assert (found["train-003"]["image"] == 113).all()
    assert [loading.task_size(task, split) for split in task.splits] == [5, 3, 2]


def test_images_are_made_once():
    made = []

    def generate():
        made.append(1)
        return tiny_task(images=5).source.generate()

    task = dataclasses.replace(tiny_task(images=5), source=layout.Carried(generate))
    assert [loading.task_size(task, split) for split in (*task.splits, "train")] == [5, 3, 2, 5]
    assert made == [1]


def test_tfds_itself_reads_the_folder():
    task = tiny_task(images=5)
    loading.open_split(task, "train")
    builder = tfds.builder_from_directory(layout.cached_directory(task))
    example = builder.as_data_source("validation")[0]
    assert example["image"].shape == (6, 8, 3)
    assert builder.info.features["label"].names == ["dark", "bright"]
    assert str(builder.version) == "1.0.0"


def test_the_digest_is_of_what_is_seen(cache):
    first = tiny_task(images=5)
    digests = [
        layout.write(task, task.source.generate(), cache / str(number))
        for number, task in enumerate((first, tiny_task(images=5), tiny_task(images=6)))
    ]
    assert digests[0] == digests[1] != digests[2]
    assert (cache / "0" / layout.DIGEST_FILE).read_text() == digests[0] + "\n"


def test_large_images_are_shrunk_and_transparent_ones_laid_on_the_background():
    image = Image.new("RGBA", (288, 144), (255, 0, 0, 0))
    task = carried(split_examples(image), background=(0, 0, 200))
    pixels = loading.open_split(task, "test")[0]["image"]
    assert pixels.shape == (72, 144, 3)
    assert (pixels == (0, 0, 200)).all()


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        ([], "no images for train, validation, test"),
        ([layout.Example("trian", "x", Image.new("L", (4, 4)), 0)], "'trian'"),
        ([layout.Example("train", "x", Image.new("L", (4, 4)), 2)], "label 2"),
    ],
)
def test_a_source_that_is_wrong_leaves_nothing_behind(cache, examples, said):
    task = carried(examples)
    with pytest.raises(TaskError, match=said):
        loading.open_split(task, "train")
    assert not layout.cached_directory(task).exists()


SMALL = Image.new("L", (4, 4))
PLACED = {"inputs": {"place": (3,)}}
NUMBERS = {"head": "regression", "labels": ("a", "b")}
HELD = {"head": "multilabel", "labels": ("a", "b")}


@pytest.mark.parametrize(
    ("settings", "label", "inputs", "said"),
    [
        ({}, 1.0, {}, "label 1.0; a class is a whole number from 0 to 1"),
        ({}, (0.0, 1.0), {}, "a class is a whole number"),
        (NUMBERS, 1, {}, "the label 1; regression takes a tuple of finite numbers, 2"),
        (NUMBERS, (1.0,), {}, "tuple of finite numbers, 2"),
        (NUMBERS, (1.0, float("nan")), {}, "tuple of finite numbers, 2"),
        (NUMBERS, (1.0, 2.0), {}, "split train: a value is the same for all examples"),
        (HELD, (1.0, 0.5), {}, "split train: labels hold or do not, 1 or 0 each; one is 0.5"),
        (HELD, (0, 0), {}, "split train: no example has any of the labels"),
        (PLACED, 0, {}, "the inputs none; the task has place"),
        (PLACED, 0, {"place": (1.0, 2.0)}, r"it takes finite numbers \[3\]"),
        (PLACED, 0, {"place": (1.0, 2.0, float("inf"))}, r"it takes finite numbers \[3\]"),
    ],
)
def test_what_an_example_says_must_fit_its_head_and_inputs(cache, settings, label, inputs, said):
    examples = [
        layout.Example(split, split, SMALL, label, inputs)
        for split in ("train", "validation", "test")
    ]
    task = dataclasses.replace(carried(examples), **settings)
    with pytest.raises(TaskError, match=said):
        loading.open_split(task, "train")
    assert not layout.cached_directory(task).exists()


@pytest.mark.parametrize("name", ["image", "name", "label", "teacher", "two words"])
def test_an_input_has_a_name_of_its_own(name):
    with pytest.raises(TaskError, match=f"has an input called {name!r}"):
        dataclasses.replace(tiny_task(), inputs={name: (3,)})


@pytest.mark.parametrize("shape", [3, (), (0,), (2.0,)])
def test_an_input_has_a_shape(shape):
    with pytest.raises(TaskError, match="a shape is a tuple of whole numbers"):
        dataclasses.replace(tiny_task(), inputs={"place": shape})


def test_an_interrupted_writer_leaves_nothing_behind(cache, monkeypatch):
    task = tiny_task()
    monkeypatch.setattr(layout, "_record", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loading.open_split(task, "train")
    assert list(layout.cached_directory(task).parent.iterdir()) == []


def test_damage_and_change_are_said_in_words():
    task = tiny_task()
    loading.open_split(task, "train")
    other = dataclasses.replace(task, labels=("dark", "light"))
    with pytest.raises(records.DamagedDataError, match="raise its version"):
        loading.open_split(other, "train")
    (layout.cached_directory(task) / "dataset_info.json").write_text("{")
    with pytest.raises(records.DamagedDataError, match="delete it"):
        loading.open_split(task, "train")


def test_an_unknown_split_is_refused():
    with pytest.raises(UnknownSplitError, match="it has train, validation, test"):
        loading.open_split(tiny_task(), "val")


def test_an_opened_split_can_be_sent_to_another_process():
    opened = loading.open_split(tiny_task(images=5), "train")
    before = [example["image"] for example in opened]
    sent = pickle.loads(pickle.dumps(opened))
    assert len(sent) == 5
    for pixels, example in zip(before, sent, strict=True):
        np.testing.assert_array_equal(pixels, example["image"])
