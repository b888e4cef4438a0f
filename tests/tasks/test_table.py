"""Tables of images: the same rules as for folders, with labels and splits from a file."""

import numpy as np
import pytest
from PIL import Image

from tasks import loading, registry
from tasks.listing import FolderError

LABELS = ("dark", "light")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Twelve images in one folder, and one elsewhere."""
    root = tmp_path_factory.mktemp("shots")
    generator = np.random.default_rng(0)
    for number in range(12):
        pixels = generator.integers(0, 120, (12, 12, 3), np.uint8) + 120 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"{number:02d}.png")
    return root


def written(images, rows, header="path,label"):
    (images / "shots.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return f"csv:{images / 'shots.csv'}"


def plain():
    return [f"{number:02d}.png,{LABELS[number % 2]}" for number in range(12)]


def test_images_have_the_labels_of_the_table_and_are_cut_as_a_folder_s(images):
    (task,) = registry.resolve([written(images, plain())])
    assert (task.name, task.labels) == ("shots", LABELS)
    found = {}
    for split in task.splits:
        for example in loading.open_split(task, split):
            assert task.labels[example["label"]] == LABELS[int(example["name"][:2]) % 2]
            assert (example["image"].mean() > 120) == example["label"]
            found[example["name"]] = split
    assert len(found) == 12
    assert set(found.values()) == {"train", "validation", "test"}


def test_another_label_is_other_data(images):
    # Both lie in one split, whose files stay what they were.
    (task,) = registry.resolve([written(images, plain())])
    before = loading.contents(task, "train")
    one, other = (
        next(e["name"] for e in loading.open_split(task, "train") if e["label"] == label)
        for label in (0, 1)
    )
    swapped = {one: other, other: one}
    rows = [f"{swapped.get(row[:6], row[:6])}{row[6:]}" for row in plain()]
    (task,) = registry.resolve([written(images, rows)])
    after = loading.contents(task, "train")
    assert before != after


def test_a_column_says_the_splits_in_their_usual_names(images):
    names = ("Train", "val", "testing")
    rows = [f"{row},{names[number // 4]}" for number, row in enumerate(plain())]
    (task,) = registry.resolve([written(images, rows, "path,label,split")])
    sizes = [loading.task_size(task, split) for split in ("train", "validation", "test")]
    assert sizes == [4, 4, 4]


def test_paths_may_lead_elsewhere_and_files_that_are_not_there_are_said(images, tmp_path):
    elsewhere = tmp_path / "else where.png"
    Image.fromarray(np.full((12, 12, 3), 250, np.uint8)).save(elsewhere)
    rows = [*plain(), f"{elsewhere},light", "none.png,light"]
    (task,) = registry.resolve([written(images, rows)])
    with pytest.warns(UserWarning, match=r"none\.png"):
        inventory = loading.inventory(task)
    assert sum(sum(own.values()) for own in inventory.used.values()) == 13


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (["00.png,dark"], "file,label", "has the columns file, label; it needs path and label"),
        (["00.png,dark"], "path,label", "holds 1 class of images"),
        ([*plain(), "00.png,"], "path,label", "line 14: 00.png has no label"),
        (["00.png,dark,tomorrow"], "path,label,split", "has the split 'tomorrow'"),
        ([f"{row},train" for row in plain()], "path,label,split", "gives the splits train: give"),
        (
            [*(f"{row},train" for row in plain()[:6]), *plain()[6:]],
            "path,label,split",
            "train, none",
        ),
    ],
)
def test_tables_that_are_no_task_are_refused(images, rows, header, said):
    with pytest.raises(FolderError, match=said):
        registry.resolve([written(images, rows, header)])


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FolderError, match="there is no table"):
        registry.resolve([f"csv:{tmp_path / 'none.csv'}"])
