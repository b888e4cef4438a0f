"""Scenes: each box is tight around its thing, and none is hidden; tiles keep halves."""

import numpy as np
from PIL import Image

from tasks import scenes, tiles, tree_crowns

SIDE = 96


def disc(colour, side=40):
    """A disc with an empty edge around it, and an alpha that fades out."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    alpha = np.clip((side / 2 - 6 - np.hypot(x, y)) * 128 + 128, 0, 255)
    return Image.fromarray(
        np.dstack([np.full((side, side, 3), colour), alpha]).astype(np.uint8), "RGBA"
    )


COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255)])
THINGS = [[scenes.CutOut("a", disc(colour), label)] for label, colour in enumerate(COLOURS)]


def test_boxes_are_tight_and_two_thirds_of_each_thing_are_seen():
    """Told from the pixels: those nearer to a thing's colour than to the others and the ground."""
    ground = Image.new("RGB", (SIDE, SIDE), (90, 90, 90))
    total = 0
    for seed in range(12):
        image, objects, classes, numbers = scenes.scene(ground, THINGS, np.random.default_rng(seed))
        pixels = np.asarray(image).astype(int)
        total += len(objects)
        labels = objects[:, 4].astype(int).tolist()
        nearest = np.abs(pixels[..., None, :] - [(90, 90, 90), *COLOURS]).max(axis=-1).argmin(-1)
        assert (classes == nearest).mean() > 0.98  # the rest lies on outlines
        assert set(np.unique(classes)) - {0} == {1 + label for label in labels}
        np.testing.assert_array_equal(np.array([0, *(1 + n for n in labels)])[numbers], classes)
        assert numbers.max() == len(labels)
        for (left, top, right, bottom), label in zip(
            (objects[:, :4] * SIDE).round().astype(int), labels, strict=True
        ):
            own = (np.abs(pixels - COLOURS[label]).max(axis=-1) < 100)[top:bottom, left:right]
            whole = np.pi / 4 * (right - left) * (bottom - top)
            assert abs(right - left - (bottom - top)) <= 1
            if labels.count(label) == 1:
                assert own.sum() > 0.6 * whole
                far = np.abs(pixels - COLOURS[label]).max(axis=-1) < 75
                far[top:bottom, left:right] = False
                assert not far.any()
    assert total > 20


def test_one_thing_of_a_size_that_is_asked_for():
    ground, seen = Image.new("RGB", (SIDE, SIDE)), set()
    for seed in range(8):
        made = scenes.scene(
            ground, THINGS, np.random.default_rng(seed), objects=(1, 2), sides=(30, 34)
        )
        ((left, top, right, bottom),) = (made.objects[:, :4] * SIDE).round().astype(int)
        # Its outline fades out within a pixel.
        seen.add(int(max(right - left, bottom - top)))
        rows, columns = np.nonzero(made.numbers)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (
            *(left, top, right, bottom),
        )
    assert seen <= {28, 29, 30, 31, 32, 33}
    assert len(seen) > 1


def test_no_thing_is_in_two_splits(monkeypatch):
    """Two drawings of one group are on one side; every class is on each."""
    monkeypatch.setattr(scenes, "OBJECTS", (1, 2))
    monkeypatch.setattr(scenes, "SCENES", {"train": 6, "validation": 3, "test": 3})
    monkeypatch.setattr(scenes, "photographs", lambda: [Image.new("RGB", (200, 300), (9, 9, 9))])
    cut_outs = [
        scenes.CutOut(f"{group}", disc((40 * group + 55, 10 + 60 * drawing, 255)), label)
        for label in range(2)
        for group in range(5)
        for drawing in range(2)
    ]
    found = list(scenes.scenes("test", cut_outs))
    assert [example.name for example in found[5:7]] == ["train-0005", "validation-0000"]
    reds = {split: set() for split in scenes.SCENES}
    for example in found:
        pixels = np.asarray(example.image).reshape(-1, 3)
        most = pixels[pixels[:, 2] == 255][:, 0]
        reds[example.split].add(int(np.bincount(most).argmax()))
    sides = list(reds.values())
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides))
    again = scenes.scenes("test", cut_outs)
    assert next(again).image.tobytes() == found[0].image.tobytes()


def test_a_tile_has_the_boxes_of_which_half_lies_inside():
    boxes = [(10, 10, 30, 30), (85, 40, 105, 60), (95, 40, 115, 60), (0, 90, 20, 120)]
    found = tiles.objects_in(boxes, [0, 1, 2, 3], left=0, top=0, side=100)
    assert found[:, 4].tolist() == [0, 1]
    np.testing.assert_allclose(found[1, :4], [0.85, 0.4, 1, 0.6])
    shifted = tiles.objects_in(boxes, [0, 1, 2, 3], left=20, top=20, side=100)
    assert shifted[:, 4].tolist() == [1, 2]
    numbers = np.zeros((9, 9), np.int64)
    numbers[2:5, 3:8], numbers[8, 8] = 7, 2
    assert tiles.boxes_of(numbers).tolist() == [[8, 8, 9, 9], [3, 2, 8, 5]]
    assert tiles.objects_in([], [], 0, 0, 9).shape == (0, 5)


def test_boxes_of_pascal_s_annotations_begin_at_one():
    box = "<xmin>1</xmin><ymin>2</ymin><xmax>31</xmax><ymax>27</ymax>"
    document = f"<annotation><object><bndbox>{box}</bndbox></object></annotation>"
    assert tree_crowns.crowns(document.encode()).tolist() == [[0, 1, 31, 27]]
