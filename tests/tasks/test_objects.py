"""Boxes move with the pixels of their image, are padded, and are kept in the cache."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from adapters import preprocessing
from adapters.heads.contract import MOST_OBJECTS
from adapters.preprocessing import Preprocessing
from tasks import layout, objects, pipeline, records
from tasks.augmentation import Augmentation, AugmentationError
from tasks.layout import Example
from tasks.task import Task, TaskError

WIDTH, HEIGHT = 96, 64
BOXES = {(24, 16, 56, 40): 0, (72, 4, 92, 60): 1}  # pixels
SIZE = 48


def how(fit):
    return Preprocessing(SIZE, (0.0,) * 3, (1.0,) * 3, fit, (0, 0, 0))


def picture():
    """An image with each box in a colour of its own, and its objects."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for (left, top, right, bottom), label in BOXES.items():
        pixels[top:bottom, left:right, label] = 255
    rows = [[*np.array(box) / ([WIDTH, HEIGHT] * 2), label] for box, label in BOXES.items()]
    return pixels, np.array(rows, np.float32)


def extent(pixels, label):
    """The box of what is brighter than half in the colour of `label`, in parts of the sides."""
    lit = pixels[..., label] > 127
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / len(pixels)


def real(found):
    assert found.shape == (MOST_OBJECTS, objects.WIDTH)
    assert (found[:, 4] >= -1).all()
    return found[found[:, 4] >= 0]


@pytest.mark.parametrize("fit", preprocessing.FITS)
@pytest.mark.parametrize("box", [None, (10.5, 6.0, 90.0, 58.0)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_box_stays_around_its_pixels(fit, box, mirrored):
    pixels, rows = picture()
    shown = preprocessing.prepare(Image.fromarray(pixels), how(fit), box)
    found = real(objects.seen(rows, WIDTH, HEIGHT, how(fit), box, mirrored))
    shown = shown[:, ::-1] if mirrored else shown
    assert {0} <= set(found[:, 4]) <= {0, 1}
    for row in found:
        wanted = extent(shown, int(row[4]))
        np.testing.assert_allclose(row[:4], wanted, atol=1.01 / SIZE)


def test_less_than_half_of_an_object_is_none():
    """The second box is 20 wide: of a view that begins 11 pixels inside it, 9 are left."""
    _, rows = picture()
    for left, kept in ((81.0, True), (83.0, False)):
        found = real(objects.seen(rows, WIDTH, HEIGHT, how("stretch"), (left, 0, WIDTH, HEIGHT)))
        assert (1 in found[:, 4]) == kept
        if kept:
            assert found[0, 0] == 0
    assert not len(real(objects.seen(rows[:0], WIDTH, HEIGHT, how("pad"))))


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_what_the_network_says_leads_back_to_the_image(fit):
    _, rows = picture()
    placed, share = preprocessing.prepare_boxes(rows[:, :4], WIDTH, HEIGHT, how(fit))
    np.testing.assert_allclose(share, 1, rtol=1e-6)
    found = preprocessing.view_of(WIDTH, HEIGHT, how(fit)).boxes(placed)
    np.testing.assert_allclose(found, rows[:, :4], atol=1e-6)


TASK = Task(
    name="boxes",
    source=layout.Carried(lambda: ()),
    labels=("red", "green"),
    description="Made for a test.",
    expected=(0.0, 1.0),
    splits=("train", "validation"),
    head="ssdlite",
    augmentation=Augmentation(flip=True),
)


def examples(rows):
    pixels, own = picture()
    return [
        Example(split, f"{split}.png", Image.fromarray(pixels), own if rows is None else rows)
        for split in TASK.splits
    ]


def test_objects_are_kept_in_the_cache_and_batched(tmp_path, monkeypatch):
    """A shrunk image keeps its boxes, which are parts of its sides; a second image has none."""
    pixels, rows = picture()
    more = [*examples(None), Example("train", "none", Image.fromarray(pixels), rows[:0])]
    layout.write(TASK, more, tmp_path / "made", short_side=32)
    kept = records.open_records(tmp_path / "made", "train", TASK)
    assert sorted(len(example["objects"]) for example in kept) == [0, 2]
    monkeypatch.setattr(layout, "cached_directory", lambda task: tmp_path / "made")
    (batch,) = pipeline.evaluation_batches(TASK, "train", how("stretch"), 3)
    found = [real(each) for each in batch.targets["objects"][:2]]
    assert sorted(map(len, found)) == [0, 2]
    np.testing.assert_allclose(max(found, key=len), rows, atol=1e-6)
    whole = pipeline.all_targets(TASK, "validation")["objects"]
    np.testing.assert_array_equal(real(whole[0]), rows)
    stream = pipeline.training_iterator(TASK, how("stretch"), 4, seed=0)
    batch = next(stream)
    assert batch["objects"].shape == (4, MOST_OBJECTS, 5)
    for image, own in zip(batch["image"], batch["objects"], strict=True):
        for row in real(own):
            np.testing.assert_allclose(row[:4], extent(image, int(row[4])), atol=1.01 / SIZE)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([0.1, 0.1, 1.2, 0.5, 0], "a box outside the image"),
        ([0.5, 0.1, 0.5, 0.5, 0], "a box of no area"),
        ([0.1, 0.1, 0.5, 0.5, 2], "class is none of 0 to 1"),
        ([0.1, 0.1, 0.5, 0.5, 0.5], "class is none of 0 to 1"),
        ([0.1, 0.1, np.nan, 0.5, 0], "no finite numbers"),
        ([0.1, 0.1, 0.5, 0.5], r"no objects \[n, 5\]"),
    ],
)
def test_objects_that_cannot_be_are_refused_by_name(tmp_path, row, said):
    with pytest.raises(TaskError, match=f"'train.png' has .*{said}"):
        layout.write(TASK, examples(np.array([row], np.float32)), tmp_path / "made")
    with pytest.raises(TaskError, match="101 objects, more than 100"):
        layout.write(TASK, examples(np.tile(picture()[1][:1], (101, 1))), tmp_path / "made")


def test_a_split_without_objects_and_operations_on_images_are_refused(tmp_path):
    with pytest.raises(TaskError, match=r"split train: no example has an object"):
        layout.write(TASK, examples(np.zeros((0, 5), np.float32)), tmp_path / "made")
    with pytest.raises(AugmentationError, match="have places in their images"):
        pipeline.training_iterator(TASK, how("pad"), 1, 0, augmentation="trivial_augment")
    assert dataclasses.replace(TASK, fit="pad").metric == "AP"
