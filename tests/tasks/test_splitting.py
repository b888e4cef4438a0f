"""Splits: nothing on two sides, nothing lost, the same on every machine."""

import collections

import numpy as np
import pytest
from PIL import Image

from tasks import cutting, splitting
from tasks.cutting import SPLITS
from tasks.task import TaskError


def candidate(group: str, name: str, grey: int, label: int = 0) -> splitting.Candidate:
    return splitting.Candidate(group, name, Image.new("L", (2, 2), grey), label)


def test_groups_stay_together_and_no_candidate_is_lost():
    candidates = [
        candidate(f"group-{number // 3}", f"{number}", number % 250, label=number % 6 // 3)
        for number in range(600)
    ]
    examples = list(splitting.hold_out_groups(candidates))
    assert sorted(example.name for example in examples) == sorted(one.name for one in candidates)
    split_of = {example.name: example.split for example in examples}
    for number in range(0, 600, 3):
        assert len({split_of[str(number + offset)] for offset in range(3)}) == 1
    counts = collections.Counter((example.split, example.label) for example in examples)
    assert [counts[split, 0] for split in SPLITS] == [210, 45, 45]
    assert [counts[split, 1] for split in SPLITS] == [210, 45, 45]


def test_order_of_arrival_does_not_matter():
    candidates = [candidate(str(number), str(number), number) for number in range(20)]
    there = {(one.split, one.name) for one in splitting.hold_out_groups(candidates)}
    back = {(one.split, one.name) for one in splitting.hold_out_groups(candidates[::-1])}
    assert there == back


def test_the_cut_is_a_published_hash():
    # sha256 of "b", "c", "d", "a" begin 3e, 2e, 18, ca: that is the order in which they are cut.
    cut = cutting.cut_by_hash(["a", "b", "c", "d"], str)
    assert cut == {"train": ["d", "c"], "validation": ["b"], "test": ["a"]}


def test_a_fraction_of_zero_gives_no_split():
    cut = cutting.cut_by_hash(map(str, range(100)), str, fractions=(0.85, 0.15, 0.0))
    assert [len(cut[split]) for split in SPLITS] == [85, 15, 0]


def test_too_few_groups_are_refused():
    with pytest.raises(TaskError, match="class 0 has 2 groups"):
        list(splitting.hold_out_groups([candidate("a", "1", 1), candidate("b", "2", 2)]))


def test_of_identical_pixels_one_is_kept_and_none_when_labels_contradict():
    kept = splitting.without_duplicates(
        [
            candidate("a", "first", 7),
            candidate("b", "again", 7),
            candidate("c", "other", 8),
            candidate("d", "one thing", 9, label=0),
            candidate("e", "another thing", 9, label=1),
        ]
    )
    assert [one.name for one in kept] == ["first", "other"]


def test_shape_and_palette_are_part_of_the_pixels():
    flat, tall = Image.new("L", (4, 1), 3), Image.new("L", (1, 4), 3)
    red, blue = Image.new("P", (4, 1)), Image.new("P", (4, 1))
    red.putpalette([255, 0, 0])
    blue.putpalette([0, 0, 255])
    images = [flat, tall, red, blue]
    candidates = [splitting.Candidate("", str(n), image, 0) for n, image in enumerate(images)]
    assert len(splitting.without_duplicates(candidates)) == 4


@pytest.mark.parametrize("kind", [int, np.int64])
def test_classes_are_cut_one_by_one_whatever_integers_they_are(kind):
    image = Image.new("L", (4, 4))
    candidates = [
        splitting.Candidate(str(number), str(number), image, kind(number % 2))
        for number in range(6)
    ]
    found = list(splitting.hold_out_groups(candidates))
    assert {(each.split, int(each.label)) for each in found} == {
        (split, label) for split in ("train", "validation", "test") for label in (0, 1)
    }


def test_images_whose_labels_are_numbers_are_cut_by_their_groups_alone():
    image = Image.new("L", (4, 4))
    candidates = [
        splitting.Candidate(
            str(number // 2), str(number), image, (float(number),), {"place": (1.0,)}
        )
        for number in range(12)
    ]
    found = list(splitting.hold_out_groups(candidates))
    sides = {each.name: each.split for each in found}
    assert set(sides.values()) == {"train", "validation", "test"}
    assert all(sides[str(2 * group)] == sides[str(2 * group + 1)] for group in range(6))
    assert all(each.inputs == {"place": (1.0,)} for each in found)
