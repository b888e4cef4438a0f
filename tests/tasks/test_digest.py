"""What tells data from others: of every kind of task, what was read and nothing else."""

import dataclasses
import random
import shutil

import pytest
from PIL import Image

from tasks import digest, folder, layout
from tasks.layout import Carried, Example
from tests.tasks.stand_in import every_split, tiny_task


@pytest.fixture
def pictures(tmp_path):
    """Six pictures a class, all of them different."""
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(6):
            draw(tmp_path / "pets" / label / f"{number}.bmp", f"{label}{number}")
    return tmp_path / "pets"


def draw(path, seed):
    Image.frombytes("L", (9, 8), random.Random(seed).randbytes(72)).save(path)


def contents(root):
    return every_split(folder.folder_task(str(root)))


def test_a_folder_is_told_by_its_files_wherever_it_lies(pictures, tmp_path):
    before = contents(pictures)
    assert {split: held.images for split, held in before.items()} == {
        "train": 8,
        "validation": 2,
        "test": 2,
    }
    assert len({held.digest for held in before.values()}) == 3
    moved = shutil.move(pictures, tmp_path / "elsewhere" / "pets")
    assert contents(moved) == before


def rename_a_class(root):
    (root / "cat").rename(root / "cats")


def replace_by_as_many_bytes(root):
    for path in root.glob("cat/*"):
        draw(path, f"other {path.name}")


def swap(root):
    (root / "spare").mkdir()
    for path in root.glob("cat/*"):
        path.rename(root / "spare" / path.name)
        (root / "dog" / path.name).rename(path)
        (root / "spare" / path.name).rename(root / "dog" / path.name)
    (root / "spare").rmdir()


@pytest.mark.parametrize("change", [rename_a_class, replace_by_as_many_bytes, swap])
def test_a_changed_folder_has_other_digests(pictures, change):
    before = contents(pictures)
    change(pictures)
    assert not {held.digest for held in before.values()} & {
        held.digest for held in contents(pictures).values()
    }


def test_another_picture_is_counted(pictures):
    draw(pictures / "dog" / "new.bmp", "new")
    assert sum(held.images for held in contents(pictures).values()) == 13


def test_what_cannot_be_read_is_neither_there_nor_empty(tmp_path):
    """So that a run whose disk was away for a moment does not go on without noticing."""
    (tmp_path / "empty").touch()
    found = {digest.of_files([("a", tmp_path / name)]) for name in ("empty", "gone")}
    assert len(found | {digest.of_files([])}) == 3


@pytest.mark.usefixtures("cache")
def test_made_images_are_told_by_their_pixels():
    task = tiny_task(images=5)
    first = every_split(task)
    assert {split: held.images for split, held in first.items()} == {
        "train": 5,
        "validation": 3,
        "test": 2,
    }
    assert every_split(task) == first
    brighter = dataclasses.replace(task, name="brighter", source=Carried(lambda: changed(task)))
    again = dataclasses.replace(task, name="again", source=Carried(lambda: changed(task, by=0)))
    found = every_split(brighter)
    assert [split for split in first if found[split] != first[split]] == ["train"]
    assert every_split(again) == first
    kept = layout.cached_directory(task) / f"train{layout.KEPT_CONTENTS}"
    for damaged in ("", "5", "x y"):
        kept.write_text(damaged)
        assert every_split(task) == first
    assert kept.read_text() == f"5 {first['train'].digest}\n"


def changed(task, by=1):
    for number, example in enumerate(task.source.generate()):
        image = example.image.copy()
        if number == 0:
            image.putpixel((0, 0), tuple(value + by for value in image.getpixel((0, 0))))
        yield Example(example.split, example.name, image, example.label)
