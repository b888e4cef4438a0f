"""Classes of pixels: stored whole, and always where their pixels are."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from adapters import preprocessing
from adapters.preprocessing import Preprocessing
from tasks import layout, loading, pipeline
from tasks.augmentation import Augmentation, AugmentationError
from tasks.task import TaskError
from tests.tasks.stand_in import tiny_task

pytestmark = pytest.mark.usefixtures("cache")
GREYS = np.array([20, 120, 220])  # of the three classes


def blocks(generator):
    """Blocks of 8 x 8 pixels in the grey of their class; the first is of none."""
    classes = generator.integers(0, 3, (4, 6)).repeat(8, axis=0).repeat(8, axis=1)
    image = Image.fromarray(GREYS[classes].astype(np.uint8))
    classes[:8, :8] = -1
    return image, classes


def segmented(**fields):
    generator = np.random.default_rng(0)
    made = [
        layout.Example(split, f"{split}-{number}", *blocks(generator))
        for split in ("train", "validation", "test")
        for number in range(4)
    ]
    known = {"labels": ("dark", "grey", "light"), "head": "segmentation", **fields}
    return dataclasses.replace(tiny_task(), source=layout.Carried(lambda: made), **known)


def agreement(images, classes):
    """How many of the pixels that count have the grey of their class."""
    seen = np.abs(images[..., :1].astype(int) - GREYS).argmin(axis=-1)
    return (seen == classes)[classes >= 0].mean()


def test_classes_are_read_back_as_they_were_written():
    task = segmented()
    generator = np.random.default_rng(0)
    written = {f"train-{number}": blocks(generator)[1] for number in range(4)}
    for example in loading.open_split(task, "train"):
        np.testing.assert_array_equal(example["classes"], written[example["name"]])


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_view_of_an_image_is_a_view_of_its_classes(fit):
    task = segmented(fit=fit, augmentation=Augmentation(crop=(0.4, 0.9), flip=True))
    how = Preprocessing(32, (0.0,) * 3, (1.0,) * 3, fit, (128, 128, 128))
    batch = next(pipeline.training_iterator(task, how, 16, seed=0))
    assert batch["classes"].shape == (16, 32, 32)
    assert batch["classes"].dtype == np.int32
    assert agreement(batch["image"], batch["classes"]) > 0.9  # the rest lies between two blocks
    assert agreement(batch["image"], batch["classes"][:, :, ::-1]) < 0.7
    (whole,) = pipeline.evaluation_batches(task, "validation", how, 4)
    assert agreement(whole.inputs["image"], whole.targets["classes"]) > 0.85
    beside = (whole.targets["classes"] == -1).mean()
    assert beside == pytest.approx({"stretch": 1 / 24, "crop": 0, "pad": 0.36}[fit], abs=0.03)


def test_large_images_and_their_classes_shrink_alike():
    image, classes = blocks(np.random.default_rng(1))
    small = preprocessing.shrink(image, 16)
    found = preprocessing.shrink_classes(classes, 16)
    assert found.shape == (small.height, small.width) == (16, 24)
    assert agreement(np.asarray(small)[..., None], found) > 0.9


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (np.zeros((3, 3), int), r"takes an array of them, \[32, 48\]"),
        (np.full((32, 48), 3), "none of 0 to 2, nor -1"),
        (np.full((32, 48), -2), "none of 0 to 2, nor -1"),
        (1, "no classes of its pixels"),
    ],
)
def test_other_classes_are_refused(label, said):
    image, _ = blocks(np.random.default_rng(0))
    example = layout.Example("train", "odd", image, label)
    task = segmented()
    task = dataclasses.replace(task, source=layout.Carried(lambda: [example]))
    with pytest.raises(TaskError, match=said):
        loading.open_split(task, "train")


def test_what_bends_images_alone_is_refused():
    how = Preprocessing(32, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(AugmentationError, match="places in their images"):
        pipeline.training_iterator(segmented(), how, 2, seed=0, augmentation="trivial_augment")
