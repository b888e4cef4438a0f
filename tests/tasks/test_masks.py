"""Images with masks from two folders: what is used, and all that is wrong, named and counted."""

import pickle
import warnings

import numpy as np
import pytest
from PIL import Image

from adapters.experiment import chosen_tasks
from tasks import loading, pipeline, registry
from tasks.inventory import InventoryWarning
from tasks.listing import FolderError

SIDES = (60, 40)
COUNT = 20
NUMBERS = {"ground": 0, "leaf": 1, "stone": 2}
VOID = 255


def drawn(number, size=SIDES):
    """Noise on which a leaf and a stone lie, and the numbers of its pixels; a corner is of none."""
    generator = np.random.default_rng(number)
    pixels = generator.integers(0, 90, (size[1], size[0], 3)).astype(np.uint8)
    mask = np.zeros((size[1], size[0]), np.uint8)
    left, top = 2 * number, number
    mask[top : top + 12, left : left + 8] = 1
    mask[top : top + 12, left + 8 : left + 15] = 2
    pixels[mask == 1] = 150 + number
    pixels[mask == 2] = 220
    mask[-5:, :5] = VOID
    return Image.fromarray(pixels), Image.fromarray(mask)


def add(root, name, image, mask):
    image.save(root / "shots" / name)
    if mask is not None:
        mask.save((root / "masks" / name).with_suffix(".png"))


@pytest.fixture
def root(tmp_path):
    """Twenty images with masks, without faults; half of them in a folder of the folder."""
    for folder in ("shots", "masks"):
        (tmp_path / folder / "deep").mkdir(parents=True)
    (tmp_path / "masks" / "labels.txt").write_text("\n".join(NUMBERS) + "\n")
    for number in range(COUNT):
        add(tmp_path, f"{'deep/' if number % 2 else ''}{number:02d}.png", *drawn(number))
    return tmp_path


def spelled(root, settings=""):
    return [f"masks:{root / 'shots'}", f"{root / 'masks'}{settings}"]


def resolved(root, settings=""):
    (task,) = chosen_tasks.chosen([",".join(spelled(root, settings))])
    return task


def examples(task):
    return {
        example["name"]: (split, example)
        for split in task.splits
        for example in loading.open_split(task, split)
    }


def test_each_image_has_its_own_mask(root):
    """In each split, in any process; the corner's pixels count for nothing."""
    task = resolved(root)
    assert (task.name, task.labels, task.metric) == ("shots", tuple(NUMBERS), "mIoU")
    assert registry.resolve(spelled(root)) == (task,)
    assert registry.resolve_one(task.spelled) == task
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = examples(pickle.loads(pickle.dumps(task)))
    assert len(found) == COUNT
    assert {split for split, _ in found.values()} == {"train", "validation", "test"}
    for _, example in found.values():
        classes, image = example["classes"], example["image"]
        assert (image[classes == 1] >= 150).all()
        assert (image[classes == 2] == 220).all()
        assert (image[classes == 0] < 90).all()
        assert (classes == -1).sum() == 25
    (batch,) = pipeline.evaluation_batches(
        task, "test", pipeline.Preprocessing(48, (0.0,) * 3, (1.0,) * 3), 4
    )
    truth, seen = batch.targets["classes"][batch.mask], batch.inputs["image"][batch.mask]
    assert truth.shape[1:] == (48, 48)
    assert seen[truth == 2].mean() > 190
    assert seen[truth == 0].mean() < 60


def test_large_images_shrink_with_their_masks(root):
    image, mask = drawn(3, (901, 601))
    add(root, "large.jpg", image, mask)
    _, example = examples(resolved(root))["large.jpg"]
    assert example["image"].shape[:2] == example["classes"].shape == (256, 384)
    leaf = example["image"][example["classes"] == 2]
    assert leaf.mean() > 180


def test_other_masks_are_other_data(root):
    task = resolved(root)
    before = {split: loading.contents(task, split) for split in task.splits}
    first = next(iter(loading.open_split(task, "train")))["name"]
    image, mask = (np.asarray(each).copy() for each in drawn(int(first[-6:-4])))
    mask[0, -1] = 1
    add(root, first, Image.fromarray(image), Image.fromarray(mask))
    after = {split: loading.contents(resolved(root), split) for split in task.splits}
    assert [split for split in before if before[split] != after[split]] == ["train"]


def with_faults(root):
    """Every fault once; {why: names}."""

    def changed(number, change):
        image, mask = drawn(number)
        return image, change(mask)

    def with_numbers(mask):
        values = np.asarray(mask).copy()
        values[0, :2] = 7, 9
        return Image.fromarray(values)

    add(root, "none.png", drawn(21)[0], None)
    add(
        root,
        "small.png",
        *changed(22, lambda mask: mask.resize((30, 20), Image.Resampling.NEAREST)),
    )
    add(root, "odd.png", *changed(23, with_numbers))
    add(root, "coloured.png", *changed(24, lambda mask: mask.convert("RGB")))
    add(root, "nothing.png", *changed(25, lambda mask: Image.new("L", mask.size, VOID)))
    add(root, "bad.png", *drawn(26))
    (root / "masks" / "bad.png").write_bytes(b"no image at all")
    add(root, "broken.png", *drawn(27))
    (root / "shots" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    drawn(28)[1].save(root / "masks" / "alone.png")
    drawn(1)[0].save(root / "shots" / "deep" / "01.bmp")
    add(root, "again.png", drawn(0)[0], drawn(2)[1])
    return {
        "images without a mask": ["none.png"],
        "masks of another size than their image": ["small.png, 30 x 20 for 60 x 40"],
        "masks with numbers of no class": ["odd.png, numbers 7, 9"],
        "masks in colours, not of one number a pixel": ["coloured.png"],
        "masks without a pixel that counts": ["nothing.png"],
        "masks that cannot be opened": ["bad.png"],
        "images that cannot be opened": ["broken.png"],
        "masks without an image": ["alone.png"],
        "images whose mask is another's too": ["deep/01.png"],
    }


def test_all_that_is_wrong_is_named_and_counted(root):
    """A picture with two masks has no right one: both are left out."""
    wanted = with_faults(root)
    task = resolved(root)
    with pytest.warns(InventoryWarning) as said:
        found = loading.inventory(task)
    assert found.left_out == wanted
    assert found.contradictions == [["00.png", "again.png"]]
    messages = " ".join(str(one.message) for one in said)
    for why, names in wanted.items():
        assert names[0] in messages
        assert f"{len(names)} ({why})" in found.summary
    assert len(examples(task)) == COUNT - 1


def test_a_class_that_no_pixel_has_is_told(root):
    (root / "masks" / "labels.txt").write_text("ground\nleaf\nstone\nsnow\n")
    task = resolved(root)
    assert task.labels[3] == "snow"
    with pytest.warns(InventoryWarning, match="no pixel to train on is of snow"):
        found = loading.inventory(task)
    assert found.used["train"]["snow"] == 0 < found.used["train"]["leaf"]


def test_another_number_may_be_that_of_no_class(root):
    with pytest.raises(FolderError, match="Of others: 20 masks with numbers of no class"):
        loading.inventory(resolved(root, f"(ignored={VOID - 1}, split=0.5/0.5/0)"))
    for number in range(COUNT):
        path = root / "masks" / f"{'deep/' if number % 2 else ''}{number:02d}.png"
        values = np.asarray(drawn(number)[1]).astype(np.int32)
        Image.fromarray(np.where(values == VOID, 3, values).astype(np.uint8)).save(path)
    found = examples(resolved(root, "(ignored=3)"))
    assert (found["00.png"][1]["classes"] == -1).sum() == 25


def test_folders_that_are_no_task_are_refused(root):
    with pytest.raises(FolderError, match="ignored=none is no number"):
        resolved(root, "(ignored=none)")
    for names, said in (
        ("ground\n", "has 1 lines: it takes two"),
        ("ground\n\nleaf\n", "has 3 lines"),
        ("leaf\nleaf\n", "has 'leaf' twice"),
    ):
        (root / "masks" / "labels.txt").write_text(names)
        with pytest.raises(FolderError, match=said):
            resolved(root)
    (root / "masks" / "labels.txt").unlink()
    with pytest.raises(FolderError, match=r"has no labels\.txt: write the classes' names"):
        resolved(root)
    for name in ("masks:", f"masks:{root / 'shots'}", f"masks:nowhere,{root / 'masks'}"):
        with pytest.raises(FolderError, match="write masks:IMAGES,MASKS"):
            registry.resolve([name])
