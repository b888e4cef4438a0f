"""Pixels of a COCO file's outlines: what is drawn over what, and all that is wrong, named."""

import json
import pickle
import warnings

import numpy as np
import pytest
from PIL import Image

from adapters.errors import UnknownNameError
from adapters.heads.runs import runs
from tasks import loading, registry
from tasks.inventory import InventoryWarning
from tasks.listing import FolderError
from tasks.task import TaskError

SIDES = (40, 30)
COUNT = 12
CATEGORIES = [{"id": 9, "name": "leaf"}, {"id": 4, "name": "stone"}, {"id": 2, "name": "unused"}]


def rectangle(left, top, right, bottom):
    return [left, top, right, top, right, bottom, left, bottom]


class Written:
    """A folder of images and a COCO file; each image has a leaf on a stone, and a crowd."""

    def __init__(self, root):
        self.root, self.images, self.annotations = root, [], []
        (root / "shots").mkdir()
        for number in range(COUNT):
            self.add(f"{number:02d}.png", seed=number)
            stone, leaf = rectangle(2, 3, 22, 23), rectangle(5, 6, 10, 12 + number % 3)
            crowd = np.zeros(SIDES[::-1], bool)
            crowd[:, :4] = True
            self.say(4, [stone, rectangle(30, 20, 34, 24)])
            self.say(9, [leaf])
            self.say(4, runs(crowd), iscrowd=1)

    def add(self, name, *, seed, **entry):
        pixels = np.random.default_rng(seed).integers(0, 256, (*SIDES[::-1], 3), np.uint8)
        Image.fromarray(pixels).save(self.root / "shots" / name)
        size = {"width": SIDES[0], "height": SIDES[1]}
        self.images.append({"id": len(self.images), "file_name": name, **size, **entry})

    def say(self, category, segmentation, **entry):
        known = {"id": len(self.annotations), "image_id": len(self.images) - 1}
        self.annotations.append(
            {**known, "category_id": category, "segmentation": segmentation, **entry}
        )

    def task(self, settings="head=segmentation"):
        document = {
            "images": self.images,
            "annotations": self.annotations,
            "categories": CATEGORIES,
        }
        (self.root / "shots.json").write_text(json.dumps(document))
        return registry.resolve_one(f"coco:{self.root}/shots,{self.root}/shots.json({settings})")


@pytest.fixture
def written(tmp_path):
    return Written(tmp_path)


def examples(task):
    return {
        example["name"]: example
        for split in task.splits
        for example in loading.open_split(task, split)
    }


def expected(number, rest, stone, leaf, part):
    """By hand: the smaller over the larger, both over the crowd."""
    values = np.full(SIDES[::-1], rest)
    values[:, :4] = -1
    values[3:23, 2:22] = stone
    values[20:24, 30:34] = part
    values[6 : 12 + number % 3, 5:10] = leaf
    return values


def test_each_pixel_is_of_the_smallest_object_there(written):
    """In any process; what is not annotated is the background, and a crowd counts for nothing."""
    task = written.task()
    assert (task.name, task.labels) == ("shots", ("background", "stone", "leaf"))
    assert (task.head, task.metric) == ("segmentation", "mIoU")
    assert registry.resolve_one(task.spelled) == task
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = examples(pickle.loads(pickle.dumps(task)))
    assert len(found) == COUNT
    for number in range(COUNT):
        own = found[f"{number:02d}.png"]["classes"]
        np.testing.assert_array_equal(own, expected(number, 0, 1, 2, 1))
    assert loading.inventory(task).noted.keys() == {"crowds, whose pixels do not count"}


@pytest.mark.parametrize(
    ("settings", "labels", "head", "numbers"),
    [
        ("head=segmentation, rest=none", ("stone", "leaf"), "segmentation", (-1, 0, 1, 0)),
        ("head=segmentation, rest=stone", ("stone", "leaf"), "segmentation", (0, 0, 1, 0)),
        (
            "head=panoptic, rest=soil",
            ("soil", "stone", "leaf"),
            "panoptic(stuff=1, queries=16)",
            (0, 100, 200, 101),
        ),
        ("head=panoptic, rest=none", ("stone", "leaf"), "panoptic(stuff=0, queries=16)", None),
    ],
)
def test_what_is_not_annotated_may_have_a_name_or_none(written, settings, labels, head, numbers):
    """Objects of one class are told apart where the head tells segments."""
    for entry in written.annotations[::3]:  # stones in two objects, not of two parts
        first, second = entry["segmentation"]
        if "panoptic" in settings:
            entry["segmentation"] = [first]
            written.annotations.append({**entry, "id": 0, "segmentation": [second]})
    task = written.task(settings)
    assert (task.labels, task.head) == (labels, head)
    target = "segments" if "panoptic" in settings else "classes"
    found = examples(task)["03.png"][target]
    np.testing.assert_array_equal(found, expected(3, *(numbers or (-1, 0, 100, 1))))


def test_other_outlines_are_other_data(written):
    task = written.task()
    before = {split: loading.contents(task, split) for split in task.splits}
    number = int(next(iter(loading.open_split(task, "train")))["name"][:2])
    written.annotations[3 * number + 1]["segmentation"] = [rectangle(5, 6, 10, 11)]
    again = written.task()
    after = {split: loading.contents(again, split) for split in task.splits}
    assert [split for split in before if before[split] != after[split]] == ["train"]


def test_all_that_is_wrong_is_named_and_counted(written):
    """Where an outline cannot be drawn, the pixels of its box count for nothing."""
    written.add("odd.png", seed=30)
    box = {"bbox": [10, 10, 5, 4]}
    written.say(9, [[1, 1, 5, 5]], **box)
    written.say(9, [rectangle(0, 0, 2, 2), [1, 2, 3]])
    written.say(9, [])
    written.say(9, [rectangle(50, 0, 60, 9)])
    written.say(9, [rectangle(20, 5, 20, 9)])
    written.say(9, [rectangle(-90, 0, 9, 9)])
    written.say(9, [rectangle(35, 25, 45, 35)])
    written.say(9, {"size": [9, 9], "counts": [80, 1]})
    written.say(9, {"size": [30, 40], "counts": [80, 1]})
    written.say(9, {"size": [30, 40], "counts": "\x01"})
    written.say(7, [rectangle(20, 0, 24, 3)])
    written.annotations += ["none", {"image_id": 99}]
    written.add("bare.png", seed=31)
    written.add("other.png", seed=32, width=7)
    written.add("gone.png", seed=33)
    (written.root / "shots" / "gone.png").unlink()
    task = written.task()
    with pytest.warns(InventoryWarning) as said:
        found = loading.inventory(task)
    first = 3 * COUNT

    def name(place):
        return f"odd.png, annotation {first + place}"

    assert found.left_out == {
        "polygons of fewer than three points": [name(0)],
        "polygons that are no pairs of numbers": [name(1)],
        "annotations without an outline": [name(2)],
        "outlines outside their image": [name(3)],
        "outlines of no area": [name(4)],
        "outlines that reach far outside their image": [name(5)],
        "runs of another size than their image": [f"{name(7)}, 9 x 9 for 40 x 30"],
        "runs that do not fill their image": [name(8)],
        "runs that cannot be read": [name(9)],
        "annotations of unknown categories": [name(10)],
        "annotations that are none": [f"annotation {first + 11}"],
        "annotations of images that are not listed": [f"annotation {first + 12}"],
        "images of another size than is said of them": ["other.png"],
        "images that are not there": ["gone.png"],
    }
    assert found.noted["no objects"] == ["bare.png"]
    assert found.noted["outlines that reach over the edge of their image, cut there"] == [name(6)]
    assert name(0) in " ".join(str(one.message) for one in said)
    wanted = np.zeros(SIDES[::-1])
    wanted[:2, :2] = wanted[25:, 35:] = 2
    wanted[10:14, 10:15] = wanted[:3, 20:24] = -1
    own = examples(task)
    np.testing.assert_array_equal(own["odd.png"]["classes"], wanted)
    assert not own["bare.png"]["classes"].any()


def test_images_without_a_pixel_that_counts_are_left_out(written):
    written.add("bare.png", seed=31)
    with pytest.warns(InventoryWarning):
        found = loading.inventory(written.task("head=segmentation, rest=none"))
    assert found.left_out == {"images without a pixel that counts": ["bare.png"]}


def test_too_many_segments_are_refused_of_an_image(written):
    written.add("many.png", seed=31)
    for number in range(101):
        left, top = number % 20 * 2, number // 20 * 2
        written.say(9, [rectangle(left, top, left + 1, top + 1)])
    assert written.task("head=panoptic").head == "panoptic(stuff=1, queries=102)"
    with pytest.warns(InventoryWarning):
        found = loading.inventory(written.task("head=panoptic"))
    assert found.left_out == {"more than 100 segments of a class": ["many.png"]}


def test_settings_that_say_nothing_are_refused(written):
    for settings, error, said in (
        ("head=regression", UnknownNameError, "no head of a COCO file is called 'regression'"),
        ("rest=soil", FolderError, "the head ssdlite learns boxes: say head=segmentation"),
        ("head=segmentation, rest=", FolderError, "rest= says nothing"),
        ("head=segmentation, queries=true", TaskError, "finds no objects"),
    ):
        with pytest.raises(error, match=said):
            written.task(settings)
    written.annotations = []
    with pytest.raises(FolderError, match="has no object that can be used"):
        written.task()
