"""A user's folder: its classes, its splits, and what is said when it has none."""

import pickle
import shutil

import pytest
from PIL import Image

from adapters import errors
from tasks import folder, loading, registry
from tasks.inventory import UnreadableImageWarning
from tasks.listing import FolderError
from tasks.task import TaskError

FORMATS = ("png", "jpeg", "webp", "gif", "bmp", "tiff")


@pytest.fixture
def animals(tmp_path):
    """20 cats and 20 dogs, in all formats."""
    for label, name in enumerate(("cat", "dog")):
        for number in range(20):
            grey = 100 * label + number
            write(tmp_path / "animals" / name / f"{number:02d}.{FORMATS[number % 6]}", grey)
    return tmp_path / "animals"


def write(path, grey: int):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (grey, grey, grey)).save(path)


def test_a_folder_is_split_class_by_class(animals):
    (task,) = registry.resolve([f"folder:{animals}"])
    assert task.name == "animals"
    assert task.labels == ("cat", "dog")
    names = []
    for split, each in {"train": 14, "validation": 3, "test": 3}.items():
        opened = loading.open_split(task, split)
        assert [example["label"] for example in opened] == [0] * each + [1] * each
        for example in opened:
            assert example["image"].shape == (6, 8, 3)
            assert (example["image"].mean() > 70) == (example["label"] == 1)
        names += [example["name"] for example in opened]
    assert len(set(names)) == 40


def test_another_file_moves_few_others(animals):
    def training():
        return {
            example["name"]
            for example in loading.open_split(folder.folder_task(str(animals)), "train")
        }

    before = training()
    write(animals / "cat" / "new.png", 70)
    assert len(before - training()) <= 1


def test_a_folder_may_bring_its_own_splits(animals, tmp_path):
    root = tmp_path / "ready"
    shutil.copytree(animals, root / "train")
    for label, name in enumerate(("cat", "dog")):
        for number in range(20):
            write(root / "validation" / name / f"{number:02d}.png", 200 + 20 * label + number)
    task = folder.folder_task(str(root))
    assert task.splits == ("train", "validation")
    assert loading.task_size(task, "train") == loading.task_size(task, "validation") == 40
    write(root / "validation" / "bird" / "1.png", 240)
    with pytest.raises(FolderError, match="bird"):
        loading.open_split(task, "validation")
    shutil.rmtree(root / "validation")
    with pytest.raises(
        FolderError, match="has train, but no folder called validation or valid or val"
    ):
        folder.folder_task(str(root))


def test_a_class_may_be_called_train(animals):
    (animals / "cat").rename(animals / "train")
    assert folder.folder_task(str(animals)).labels == ("dog", "train")


def test_an_unreadable_image_is_named_and_left_out(animals):
    task = folder.folder_task(str(animals))
    victim = loading.open_split(task, "train")[0]["name"]
    (animals / victim).write_bytes((animals / victim).read_bytes()[:40])
    with pytest.warns(UnreadableImageWarning, match=f"{victim} is left out: the image is damaged"):
        opened = loading.open_split(task, "train")
    assert len(opened) == 27


def test_a_class_without_a_readable_image_is_refused(animals):
    for path in (animals / "dog").iterdir():
        path.write_bytes(b"")
    with (
        pytest.warns(UnreadableImageWarning),
        pytest.raises(FolderError, match="no image of dog is left to train on"),
    ):
        loading.open_split(folder.folder_task(str(animals)), "train")


def test_a_folder_whose_name_no_patch_file_can_have_is_refused(animals):
    odd = animals.rename(animals.parent / "my: animals?")
    with pytest.raises(TaskError, match="Rename it, or its folder"):
        folder.folder_task(str(odd))


def test_large_photographs_are_shrunk(tmp_path):
    for label, name in enumerate(("a", "b")):
        for number in range(3):
            path = tmp_path / "large" / name / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (1024, 600), (120 * label, 40 * number, 0)).save(path)
    task = folder.folder_task(str(tmp_path / "large"))
    assert loading.open_split(task, "test")[0]["image"].shape == (256, 437, 3)


def test_an_opened_folder_can_be_sent_to_another_process(animals):
    opened = loading.open_split(folder.folder_task(str(animals)), "test")
    sent = pickle.loads(pickle.dumps(opened))
    assert [example["name"] for example in sent] == [example["name"] for example in opened]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ((), "holds 0 classes"),
        (("cat/1.png", "cat/2.png", "cat/3.png"), "holds 1 class"),
        (("cat/1.png", "cat/2.png", "cat/3.png", "dog/readme.txt"), "holds 1 class"),
        (("cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png", "dog/2.png"), "dog holds 2 images"),
    ],
    ids=["empty", "one class", "no images in the other", "two images"],
)
def test_a_folder_without_classes_is_refused(tmp_path, content, said):
    root = tmp_path / "poor"
    root.mkdir()
    for name in content:
        (root / name).parent.mkdir(exist_ok=True)
        if name.endswith("png"):
            write(root / name, 1)
        else:
            (root / name).write_text("")
    with pytest.raises(FolderError, match=said):
        registry.resolve([f"folder:{root}"])


@pytest.mark.parametrize("path", ["", "/no/such/folder"])
def test_a_missing_folder_is_refused(path: str):
    with pytest.raises(FolderError, match="there is no folder"):
        registry.resolve([f"folder:{path}"])


def test_a_folder_cannot_take_the_name_of_a_task(animals):
    animals.rename(animals.parent / "digits")
    with pytest.raises(errors.DuplicateNameError, match="digits"):
        registry.resolve([f"folder:{animals.parent / 'digits'}"])


def test_two_folders_of_one_name_are_refused(animals, tmp_path):
    shutil.copytree(animals, tmp_path / "other" / "animals")
    assert len(registry.resolve([f"folder:{animals}", f"folder:{animals}"])) == 1
    with pytest.raises(errors.DuplicateNameError, match="animals"):
        registry.resolve([f"folder:{animals}", f"folder:{tmp_path / 'other' / 'animals'}"])
