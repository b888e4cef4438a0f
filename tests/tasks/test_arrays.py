"""Tasks from memory: the same split on every machine, nothing on two sides, bad arrays refused."""

import hashlib

import numpy as np
import pytest

from adapters.preprocessing import Preprocessing
from tasks import loading, pipeline
from tasks.arrays import ArraysError
from tasks.augmentation import Augmentation
from tasks.inventory import InventoryWarning
from tasks.task import Task, TaskError
from tests.tasks.stand_in import every_split


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 5, 3), np.uint8)


def members(task):
    """The pixels of each split, with their labels."""
    return {
        split: {
            (example["image"].tobytes(), task.labels[example["label"]])
            for example in loading.open_split(task, split)
        }
        for split in task.splits
    }


def test_a_class_is_cut_by_the_hash_of_its_pixels():
    images = noise(40)
    task = Task.from_arrays(images, ["a", "b"] * 20)
    assert [loading.task_size(task, split) for split in task.splits] == [28, 6, 6]
    own = sorted(
        (image.tobytes() for image in images[::2]),
        key=lambda pixels: hashlib.sha256(hashlib.sha256(pixels).hexdigest().encode()).digest(),
    )
    found = {
        split: {p for p, label in each if label == "a"} for split, each in members(task).items()
    }
    assert found == {
        "train": set(own[:14]),
        "validation": set(own[14:17]),
        "test": set(own[17:]),
    }


def test_order_does_not_matter():
    images, labels = noise(40), np.arange(40) % 2
    there, back = Task.from_arrays(images, labels), Task.from_arrays(images[::-1], labels[::-1])
    assert members(there) == members(back)


def test_numbers_sort_as_numbers_and_texts_as_texts():
    assert Task.from_arrays(noise(30), [2, 10, 9] * 10).labels == ("2", "9", "10")
    assert Task.from_arrays(noise(30), ["b", "B", "a"] * 10).labels == ("B", "a", "b")
    task = Task.from_arrays(noise(30), [2, 10, 9] * 10)
    images = noise(30)
    for example in loading.open_split(task, "train"):
        (place,) = (i for i in range(30) if np.array_equal(images[i], example["image"]))
        assert task.labels[example["label"]] == str([2, 10, 9][place % 3])
        assert example["name"] == str(place)


def test_equal_images_lie_on_one_side_once_and_contradictions_on_none():
    images = noise(20)
    twice = np.concatenate([images, images[:3], images[:1]])
    labels = [0, 1] * 10 + [0, 1, 0] + [1]  # the last says otherwise of the first image
    with pytest.warns(InventoryWarning) as said:
        task = Task.from_arrays(twice, labels)
    assert [str(one.message) for one in said] == [
        "2 images are left out as copies of others, pixel by pixel: image 21 = image 1, "
        "image 22 = image 2",
        "1 picture with several labels is left out: image 0 = image 20 = image 23",
    ]
    inventory = loading.inventory(task)
    assert inventory.summary == (
        "13 training, 3 validation, 3 test images; left out: 2 (copies), 3 (several labels)"
    )
    found = members(task)
    pixels = [pixels for split in found.values() for pixels, _ in split]
    assert len(pixels) == len(set(pixels)) == 19
    assert images[0].tobytes() not in pixels


def test_fractions_choose_the_splits():
    task = Task.from_arrays(noise(40), [0, 1] * 20, splits=(0.8, 0.2, 0))
    assert task.splits == ("train", "validation")
    assert [loading.task_size(task, split) for split in task.splits] == [32, 8]


def test_a_digest_tells_images_labels_and_splits_apart():
    images, labels = noise(40), [0, 1] * 20
    made = [
        Task.from_arrays(images, labels),
        Task.from_arrays(noise(40, seed=1), labels),
        Task.from_arrays(images, labels[::-1]),
        Task.from_arrays(images, labels, splits=(0.6, 0.2, 0.2)),
    ]
    found = [every_split(task) for task in made]
    assert len({each["train"].digest for each in found}) == 4
    assert [each["train"].images for each in found] == [28, 28, 28, 24]
    assert every_split(Task.from_arrays(images.copy(), list(labels))) == found[0]


def test_batches_are_made_of_them():
    task = Task.from_arrays(noise(40), [0, 1] * 20, augmentation=Augmentation(flip=True))
    stream = pipeline.training_iterator(task, Preprocessing(8, (0.0,) * 3, (1.0,) * 3), 4, seed=0)
    assert next(stream)["image"].shape == (4, 8, 8, 3)


@pytest.mark.parametrize(
    ("images", "labels", "splits", "said"),
    [
        (noise(6).astype(np.float32), [0, 1] * 3, None, r"images are float32 \[6, 6, 5, 3\]"),
        (noise(6)[..., 0], [0, 1] * 3, None, r"images are uint8 \[6, 6, 5\]"),
        (noise(6)[..., :2], [0, 1] * 3, None, "RGB"),
        (noise(0), [], None, r"\[0, 6, 5, 3\]"),
        (noise(6), [0, 1] * 2, None, "6 images and 4 labels"),
        (noise(6), [[0], [1]] * 3, None, r"labels are int64 \[6, 1\]"),
        (noise(6), [0.0, 1.0] * 3, None, "labels are float64"),
        (noise(6), [1] * 6, None, "all labels are '1'"),
        (noise(5), [0, 1, 0, 1, 0], None, "class '1' has 2 different images, too few for each of"),
        (noise(4), [0, 1, 0, 0], None, "class '1' has 1 different image, too few"),
        (noise(8), [0, 1] * 4, (0.1, 0.5, 0.4), "too few"),
        (noise(6), [0, 1] * 3, (0.5, 0.5), "give three that sum to 1"),
        (noise(6), [0, 1] * 3, (0.5, 0.2, 0.2), "give three that sum to 1"),
        (noise(6), [0, 1] * 3, (0.5, 0.0, 0.5), "only the last may be 0"),
        (noise(6), [0, 1] * 3, (1.5, -0.25, -0.25), "give three that sum to 1"),
    ],
)
def test_arrays_that_cannot_be_a_task_are_refused(images, labels, splits, said):
    with pytest.raises(ArraysError, match=said):
        Task.from_arrays(images, labels, **({} if splits is None else {"splits": splits}))


def test_a_name_that_is_no_file_s_is_refused():
    with pytest.raises(TaskError, match="cannot be called 'a/b'"):
        Task.from_arrays(noise(6), [0, 1] * 3, name="a/b")


def test_numbers_for_each_output_and_inputs_stay_with_their_image():
    images, values = noise(40), np.random.default_rng(1).normal(size=(40, 2))
    places = np.arange(120.0).reshape(40, 3)
    task = Task.from_arrays(
        images,
        values,
        head="regression(unit=cm)",
        outputs=("height", "width"),
        inputs={"place": places},
    )
    assert (task.labels, task.inputs) == (("height", "width"), {"place": (3,)})
    seen = 0
    for split in task.splits:
        for example in loading.open_split(task, split):
            number = int(example["name"])
            np.testing.assert_array_equal(example["image"], images[number])
            np.testing.assert_array_equal(example["values"], values[number].astype(np.float32))
            np.testing.assert_array_equal(example["place"], places[number])
            seen += 1
    assert seen == 40
    settings = Preprocessing(8, (0.0,) * 3, (1.0,) * 3)
    batch = next(pipeline.evaluation_batches(task, "test", settings, 3, inputs=["place"]))
    assert batch.targets["values"].shape == (3, 2)
    assert batch.inputs["place"].shape == (3, 3)


def test_labels_that_hold_or_not():
    truth = np.random.default_rng(1).integers(0, 2, (40, 3))
    task = Task.from_arrays(noise(40), truth, head="multilabel", outputs=("a", "b", "c"))
    example = loading.open_split(task, "train")[0]
    np.testing.assert_array_equal(example["labels"], truth[int(example["name"])])


def test_same_pixels_with_other_numbers_are_left_out():
    images = noise(40)
    images[1] = images[0]
    with pytest.warns(InventoryWarning, match="several labels is left out: image 0 = image 1"):
        task = Task.from_arrays(
            images, np.arange(40.0)[:, None], head="regression", outputs=("height",)
        )
    names = {each["name"] for split in task.splits for each in loading.open_split(task, split)}
    assert names == {str(number) for number in range(2, 40)}


@pytest.mark.parametrize(
    ("labels", "fields", "said"),
    [
        (np.ones((40, 2)), {"head": "regression"}, "names of its `outputs`"),
        (["a", "b"] * 20, {"outputs": ("a",)}, "no `outputs`"),
        (np.ones((40, 2)), {"head": "regression", "outputs": ("a",)}, r"give \[40, 1\]"),
        (np.ones(40), {"head": "regression", "outputs": ("a",)}, "a row an image"),
        (np.full((40, 1), np.nan), {"head": "regression", "outputs": ("a",)}, "not finite"),
        (np.full((40, 1), 0.5), {"head": "multilabel", "outputs": ("a",)}, "train: labels hold or"),
        (np.ones((40, 1)), {"head": "regression", "outputs": ("a",)}, "same for all examples"),
        (["a", "b"] * 20, {"inputs": {"place": np.ones((39, 3))}}, "place are float64"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(labels, fields, said):
    with pytest.raises(ArraysError, match=said):
        Task.from_arrays(noise(40), labels, **fields)
