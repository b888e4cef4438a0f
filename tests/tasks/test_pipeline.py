"""Batches: deterministic, resumable, the same from worker processes, an epoch complete."""

import dataclasses
import pickle

import cloudpickle
import numpy as np
import pytest
from PIL import Image

from adapters.preprocessing import Preprocessing
from tasks import loading, pipeline
from tasks.augmentation import POLICIES, Augmentation, AugmentationError, random_view, recoloured
from tests.tasks.stand_in import tiny_task

SETTINGS = Preprocessing(size=5, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

pytestmark = pytest.mark.usefixtures("cache")


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        np.testing.assert_array_equal(batch["image"], other["image"])
        np.testing.assert_array_equal(batch["label"], other["label"])


def gradient_task():
    """Images of which every part looks different, with crops and flips."""
    task = tiny_task(augmentation=Augmentation(crop=(0.3, 0.9), flip=True))
    ramp = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5)
    examples = [one._replace(image=ramp) for one in task.source.generate()]
    return dataclasses.replace(
        task, source=dataclasses.replace(task.source, generate=lambda: examples)
    )


def test_batches_have_the_promised_shape():
    batch = next(pipeline.training_iterator(tiny_task(), SETTINGS, 4, seed=0))
    assert batch["image"].shape == (4, 5, 5, 3)
    assert batch["image"].dtype == np.uint8
    assert batch["label"].dtype == np.int32
    # The grey value tells the label: the two were not mixed up.
    np.testing.assert_array_equal(batch["label"], batch["image"][:, 0, 0, 0] >= 100)


def test_every_epoch_holds_each_example_once_in_an_order_of_its_own():
    iterator = pipeline.training_iterator(tiny_task(images=10), SETTINGS, 5, seed=3)
    epochs = [
        np.concatenate([batch["image"][:, 0, 0, 0] for batch in take(iterator, 2)])
        for _ in range(3)
    ]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.sort(epochs[0]))
        assert len(set(epoch)) == 10
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_batch_may_be_larger_than_the_split():
    batch = next(pipeline.training_iterator(tiny_task(images=3), SETTINGS, 7, seed=0))
    assert batch["image"].shape[0] == 7


def test_the_seed_decides_order_and_augmentation():
    def batches(seed):
        return take(pipeline.training_iterator(gradient_task(), SETTINGS, 4, seed), 3)

    assert_same(batches(1), batches(1))
    assert any(
        (a["image"] != b["image"]).any() for a, b in zip(batches(1), batches(2), strict=True)
    )


def test_the_same_image_is_augmented_anew_in_every_epoch():
    iterator = pipeline.training_iterator(gradient_task(), SETTINGS, 10, seed=0)
    seen = np.concatenate([batch["image"] for batch in take(iterator, 3)])
    assert len(np.unique(seen.reshape(30, -1), axis=0)) == 30


def test_a_batch_is_the_same_by_its_number_in_any_order_and_when_it_is_sent_elsewhere():
    whole = take(pipeline.training_iterator(gradient_task(), SETTINGS, 4, seed=5), 9)
    batches = pipeline.training_batches(gradient_task(), SETTINGS, 4, seed=5)
    order = [8, 0, 3, 3, 7, 1, 2, 6, 5, 4]
    assert_same([batches[number] for number in order], [whole[number] for number in order])
    parts = (
        pipeline.training_batches(
            tiny_task(), SETTINGS, 5, seed=1, shard_index=index, shard_count=2
        )
        for index in range(2)
    )
    assert len({grey for part in parts for grey in part[0]["image"][:, 0, 0, 0]}) == 10
    sent = pickle.loads(cloudpickle.dumps(batches))  # as worker processes get them
    assert_same([sent[number] for number in order], [whole[number] for number in order])


def test_evaluation_sees_every_example_once_and_says_what_is_padding():
    task = tiny_task(images=7)
    batches = list(pipeline.evaluation_batches(task, "train", SETTINGS, 3))
    assert [batch.inputs["image"].shape for batch in batches] == [(3, 5, 5, 3)] * 3
    assert batches[-1].mask.tolist() == [True, False, False]
    assert batches[-1].names[1:] == ["", ""]
    assert not batches[-1].inputs["image"][1:].any()
    opened = {example["name"]: example for example in loading.open_split(task, "train")}
    seen = {}
    for batch in batches:
        for row in np.flatnonzero(batch.mask):
            pixel = batch.inputs["image"][row, 0, 0, 0]
            seen[batch.names[row]] = (batch.targets["label"][row], pixel)
    assert seen == {
        name: (example["label"], example["image"][0, 0, 0]) for name, example in opened.items()
    }


def test_views_lie_inside_the_image_and_fill_the_range_asked_for():
    augmentation = Augmentation(crop=(0.25, 1.0), aspect=(0.5, 2.0), flip=True)
    rng = np.random.default_rng(0)
    views = [random_view(40, 20, augmentation, rng) for _ in range(2000)]
    boxes = np.array([view.box for view in views])
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 40 + 1e-9).all()
    assert (boxes[:, 3] <= 20 + 1e-9).all()
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 800
    # Cutting a side to the image can only make a part smaller: down to 0.25 of 1/sqrt(2).
    assert 0.17 < areas.min() < 0.3
    assert 0.95 < areas.max() <= 1
    assert 0.45 < np.mean([view.mirrored for view in views]) < 0.55


def test_images_are_left_alone_when_nothing_is_to_vary():
    view = random_view(8, 6, Augmentation((1, 1), (1, 1)), np.random.default_rng(0))
    assert view.box == (0, 0, 8, 6)
    assert not view.mirrored


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": (0.0, 1.0)},
        {"crop": (0.9, 0.8)},
        {"aspect": (2, 1)},
        {"colour": -0.1},
        {"colour": 1.0},
        {"colour": float("nan")},
    ],
)
def test_impossible_augmentation_is_refused(wrong):
    with pytest.raises(AugmentationError, match="it must be"):
        Augmentation(**wrong)


def views(augmentation, count=1000):
    rng = np.random.default_rng(0)
    return [random_view(40, 20, augmentation, rng) for _ in range(count)]


def test_without_augmentation_training_sees_whole_images_in_their_own_colours():
    own = Augmentation(crop=(0.3, 0.9), flip=True, colour=0.5)
    none = POLICIES["none"](own)
    assert {(view.box, view.mirrored) for view in views(none)} == {((0, 0, 40, 20), False)}
    task = gradient_task()
    batch = next(pipeline.training_iterator(task, SETTINGS, 10, seed=0, augmentation="none"))
    (whole,) = pipeline.evaluation_batches(task, "validation", SETTINGS, 3)
    np.testing.assert_array_equal(batch["image"], np.repeat(whole.inputs["image"][:1], 10, axis=0))


@pytest.mark.parametrize("flip", [False, True])
def test_wide_crops_are_smaller_and_mirrored_only_where_the_task_allows(flip: bool):
    own = Augmentation(crop=(0.9, 1.0), flip=flip)
    found = views(POLICIES["wide"](own))
    boxes = np.array([view.box for view in found])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 800
    assert 0.3 < areas.min() < 0.4
    assert 0.95 < areas.max() <= 1
    assert (0.4 < np.mean([view.mirrored for view in found]) < 0.6) == flip
    assert any(view.mirrored for view in found) == flip


def test_changes_of_colour_keep_the_task_s_own_views():
    own = Augmentation(crop=(0.3, 0.9), aspect=(0.5, 2.0), flip=True)
    assert views(POLICIES["colour"](own)) == views(POLICIES["task"](own)) == views(own)


def test_the_pipeline_changes_colours_when_asked():
    """Of flat grey images, contrast and saturation have nothing to change: brightness is left."""
    own, changed = (
        next(pipeline.training_iterator(tiny_task(), SETTINGS, 10, 0, augmentation=policy))
        for policy in ("task", "colour")
    )
    np.testing.assert_array_equal(own["label"], changed["label"])
    assert (changed["image"] == changed["image"][:, :1, :1, :1]).all()
    greys, new = (batch["image"][:, 0, 0, 0].astype(float) for batch in (own, changed))
    assert (new >= 0.7 * greys - 2).all()
    assert (new <= 1.3 * greys + 2).all()
    assert len(np.unique((new / greys).round(1))) > 2


def test_the_pipeline_takes_the_tasks_own_views_and_one_operation():
    own = Augmentation(crop=(0.3, 0.9), flip=True)
    assert POLICIES["trivial_augment"](own) == Augmentation((0.3, 0.9), flip=True, operation=True)
    first, again, plain = (
        next(pipeline.training_iterator(gradient_task(), SETTINGS, 30, 0, augmentation=policy))
        for policy in ("trivial_augment", "trivial_augment", "task")
    )
    np.testing.assert_array_equal(first["image"], again["image"])
    changed = (first["image"] != plain["image"]).any((1, 2, 3))
    assert 10 < changed.sum() < 30


def test_colours_stay_when_no_change_is_asked_for():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
    np.testing.assert_array_equal(
        recoloured(pixels, Augmentation(colour=0), np.random.default_rng(1)), pixels
    )


@pytest.mark.parametrize("seed", range(8))
def test_brightness_then_contrast_then_saturation_change(seed: int):
    """Each blends with what lacks it: black, the mean grey, the image in grey (ITU-R 601-2)."""
    pixels = np.random.default_rng(100 + seed).integers(0, 256, (3, 4, 3), np.uint8)
    augmentation = Augmentation(colour=0.5)
    found = recoloured(pixels, augmentation, np.random.default_rng(seed))
    again = recoloured(pixels, augmentation, np.random.default_rng(seed))
    np.testing.assert_array_equal(found, again)

    def blended(lacking, present, factor):
        return np.floor(np.clip(lacking + factor * (present - lacking), 0, 255))

    luma = np.array([0.299, 0.587, 0.114])
    brightness, contrast, saturation = np.random.default_rng(seed).uniform(0.5, 1.5, 3)
    expected = blended(0.0, pixels.astype(float), brightness)
    expected = blended((expected @ luma).mean(), expected, contrast)
    expected = blended((expected @ luma)[..., None], expected, saturation)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, expected, atol=2)
    assert (found != pixels).any()
