"""A part of the training images, and one set of images with classes at several levels."""

import pickle

import numpy as np
import pytest
from PIL import Image

from adapters.preprocessing import Preprocessing
from tasks import loading, pipeline, placed_emoji, registry
from tasks.layout import Carried, Example
from tasks.levels import at_level
from tasks.own_data import task as own_task
from tasks.shares import with_share
from tasks.task import Task, TaskError

HOW = Preprocessing(8, (0.0,) * 3, (1.0,) * 3)
NAMES = [
    f"{kind}/{kind}-{own}/{number:02d}" for kind in "ab" for own in "xy" for number in range(9)
]


def scenes():
    """Of each class of the finer level, nine of each split, with a white half."""
    for split in ("train", "validation", "test"):
        for number, name in enumerate(NAMES):
            pixels = np.full((8, 8, 3), 7 * number, np.uint8)
            classes = np.zeros((8, 8), int)
            classes[:, 4:] = 1
            pixels[:, 4:] = {"train": 253, "validation": 254, "test": 255}[split]
            yield Example(split, f"{name}-{split}", Image.fromarray(pixels), classes)


PLAIN = Task(
    "halves",
    Carried(scenes, short_side=8),
    ("ground", "white"),
    "Made for a test.",
    (0, 1),
    head="segmentation",
)
COARSE = at_level(PLAIN, 0, "halves_coarse", ("a", "b"))
FINE = at_level(PLAIN, 1, "halves_fine", ("a-x", "a-y", "b-x", "b-y"))


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELPATCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(Carried, "ours", True)
        yield


def names(task, split="train"):
    return [example["name"] for example in loading.open_split(task, split)]


def test_levels_tell_one_class_of_the_same_images_and_nothing_of_their_places():
    for split in PLAIN.splits:
        plain = loading.open_split(PLAIN, split)
        for task, depth in ((COARSE, 0), (FINE, 1)):
            opened = pickle.loads(pickle.dumps(loading.open_split(task, split, size=8)))
            assert len(opened) == len(plain) == len(NAMES)
            for index in (0, 17, 35):
                known, whole = opened.known(index), opened[index]
                assert set(known) == {"name", "label"}
                assert set(whole) == {"name", "label", "image"}
                assert task.labels[known["label"]] == known["name"].split("/")[depth]
                assert set(opened.prepared(index, HOW)) == {"name", "label", "image", "shape"}
                np.testing.assert_array_equal(whole["image"], plain[index]["image"])
                assert opened.file(index) == plain.file(index)
    batch = next(pipeline.training_iterator(FINE, HOW, 4, seed=0))
    assert set(batch) == {"image", "label"}


def test_a_name_that_says_no_class_is_refused():
    for depth, labels in ((0, ("a", "c")), (2, ("00-train", "01-train"))):
        with pytest.raises(TaskError, match=f"at level {depth}, which is none of the 2 classes"):
            names(at_level(PLAIN, depth, "halves_odd", labels))


def test_a_share_is_the_same_images_at_each_level_and_part_of_a_larger_one():
    small, large = (
        {task.name: names(task) for task in with_share([COARSE, FINE], share, 3)}
        for share in (0.1, 0.5)
    )
    assert small["halves_coarse"] == small["halves_fine"]
    assert len(small["halves_fine"]) == 4  # of 36, rounded up
    assert len(large["halves_fine"]) == 18
    assert set(small["halves_fine"]) < set(large["halves_fine"]) < set(names(FINE))
    assert names(with_share([FINE], 0.1, 4)[0]) != small["halves_fine"]
    (part,) = with_share([FINE], 0.1, 3)
    assert names(part, "test") == names(FINE, "test")
    assert loading.task_size(part, "train") == 4
    assert loading.contents(part, "train") == loading.contents(FINE, "train")
    assert with_share([FINE], 1, 3) == (FINE,)
    batches = pipeline.training_iterator(part, HOW, 4, seed=0, augmentation="none")
    kept = {example["name"]: example["image"] for example in loading.open_split(part, "train")}
    seen = {next(batches)["image"][0].tobytes() for _ in range(6)}
    assert seen <= {np.asarray(image).tobytes() for image in kept.values()}


def test_a_share_of_images_in_memory_and_of_a_folder(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), np.uint8)
    arrays = Task.from_arrays(pixels, ["dark", "lit"] * 20, name="memory")
    (part,) = with_share([arrays], 0.25, 0)
    assert loading.task_size(part, "train") == 7  # of 28
    for number, image in enumerate(pixels):
        place = tmp_path / "own" / ("dark" if number % 2 else "lit") / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)
    folder = own_task(f"folder:{tmp_path / 'own'}")
    (part,) = with_share([folder], 0.25, 0)
    assert loading.inventory(part) == loading.inventory(folder) is not None
    assert loading.task_size(part, "train") == 7


def test_the_tree_of_emoji_has_each_class_once_and_below_one():
    assert len(placed_emoji.KINDS) == 3
    assert len(placed_emoji.GROUPS) == 9
    assert len(placed_emoji.SUBGROUPS) == len(placed_emoji.PATHS) == 55
    for name, labels in (("kinds", 3), ("groups", 9), ("subgroups", 55)):
        (task,) = registry.resolve([f"placed_emoji_{name}"])
        assert len(task.labels) == labels
