"""The tasks made from carriers: sizes, splits and pixels, from the registries themselves."""

import itertools

import numpy as np
import pytest

from adapters.heads.contract import MOST_OF_CLASS
from tasks import layout, loading, registry

pytestmark = pytest.mark.registry

FAIR_SAMPLE = 8000  # images of a split that are looked at

# Examples of each split, and the digest; None for what is rendered or resized, where
# another version of Pillow may draw other pixels.
GOLDEN = {
    "digits": ((1259, 269, 269), "ade81c1fa6bd"),
    "silhouettes": ((6798, 1459, 1459), "5c69adbfa91d"),
    "glyphs": ((2032, 744, 868), None),
    "icons": ((372, 98, 154), None),
    "textures": ((359, 120, 120), "1587636d282b"),
    "fashion": ((51000, 9000, 10000), "d7ca1bdd5d7d"),
    "handwritten": ((7000, 1500, 1500), "506429a92ad9"),
    "solar_cells": ((1557, 333, 333), None),
    "stamps": ((260, 57, 57), None),
    "emoji": ((2634, 563, 568), None),
    "clip_art": ((1650, 365, 422), None),
    "signs": ((224, 65, 65), None),
    "icon_categories": ((1020, 216, 218), None),
    "solar_cell_defects": ((1838, 393, 393), None),
    "silhouettes_by_place": ((6798, 1459, 1459), "2c6f8a3bb73d"),
    "silhouettes_anywhere": ((6798, 1459, 1459), "e2fd16d7eddf"),
    "nuclei_masks": ((500, 100, 200), "2abe8cd8fd89"),
    "tree_crowns": ((432, 24, 30), None),
    "sign_scenes": ((700, 100, 150), None),
    "digit_scenes": ((700, 100, 150), None),
    "emoji_scenes": ((700, 100, 150), None),
    "stamp_scenes": ((700, 100, 150), None),
    "brain_tissue": ((78, 16, 16), "ad6d6b4e061e"),
    "stamp_masks": ((700, 100, 150), None),
    "stamps_on_surfaces": ((700, 100, 150), None),
    "nuclei": ((180, 60, 60), "f8ee1b2267df"),
    "placed_emoji": ((2000, 250, 250), None),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_carried_task_is_what_its_file_says(name: str):
    sizes, digest = GOLDEN[name]
    (task,) = registry.resolve([name])
    splits = {split: loading.open_split(task, split) for split in task.splits}
    assert tuple(map(len, splits.values())) == sizes
    seen: dict[bytes, str] = {}
    ((target, how),) = task.made_head.targets.items()
    for split, examples in splits.items():
        labels = []
        for example in itertools.islice(examples, FAIR_SAMPLE):
            labels.append(example[target])
            for name, shape in task.inputs.items():
                assert example[name].shape == shape
            assert min(example["image"].shape[:2]) <= task.source.short_side
            if np.ptp(example["image"]):
                assert seen.setdefault(example["image"].tobytes(), split) == split
        if how.per == "pixel":
            assert set(np.unique(labels)) == set(range(len(task.labels))), split
        elif how.per == "segment":
            classes = np.unique(labels) // MOST_OF_CLASS
            assert set(classes) == set(range(len(task.labels))), split
        elif how.per == "object":
            found = np.concatenate(labels)[:, 4]
            assert set(np.unique(found)) == set(range(len(task.labels))), split
        elif how.per == "output":
            assert (np.std(labels, axis=0) > 0).all(), split
        else:
            assert set(labels) == set(range(len(task.labels))), split
    if digest is not None:
        recorded = (layout.cached_directory(task) / layout.DIGEST_FILE).read_text()
        assert recorded.startswith(digest), "the images changed: raise the task's version"


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("glyphs", lambda name: name.split("/")[0].split("-")[0]),
        ("icons", lambda name: name.split(".")[0]),
        ("emoji", lambda name: name.split("/")[1]),
        ("signs", str),
        ("textures", str),
    ],
)
def test_what_is_held_out_is_on_one_side(name: str, group):
    (task,) = registry.resolve([name])
    sides = [
        {group(example["name"]) for example in loading.open_split(task, split)}
        for split in task.splits
    ]
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides))


@pytest.mark.parametrize("level", ["kinds", "groups", "subgroups"])
def test_every_emoji_of_a_scene_has_a_class_at_each_level(level: str):
    (task,) = registry.resolve([f"placed_emoji_{level}"])
    for split, count in (("train", 2000), ("validation", 250), ("test", 250)):
        examples = loading.open_split(task, split)
        labels = {examples.known(index)["label"] for index in range(len(examples))}
        assert len(examples) == count
        assert labels <= set(range(len(task.labels)))
        assert split != "train" or len(labels) == len(task.labels)


def test_registered_tasks_have_a_row_here():
    carried = {
        name
        for name in registry.known()
        if isinstance(registry.resolve([name])[0].source, layout.Carried)
    }
    assert carried == set(GOLDEN)
