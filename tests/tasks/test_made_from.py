"""Images that a user's file makes from files of the user's: made anew when one of those changes."""

import dataclasses
import os
import pathlib
import tempfile

import pytest
from PIL import Image

from tasks import layout, loading
from tasks.layout import Carried, Example
from tasks.made_from import UndeclaredFileError
from tasks.task import TaskError
from tests.tasks.stand_in import every_split, tiny_task

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def pictures(tmp_path):
    """A folder of a picture for each split."""
    for number, split in enumerate(("train", "validation", "test")):
        write(tmp_path / "pictures" / f"{split}.png", number)
    return tmp_path / "pictures"


def write(path, grey):
    path.parent.mkdir(exist_ok=True)
    Image.new("L", (4, 4), grey).save(path)


def task_of(read, reads):
    """A task whose examples are what `read()` gives for each split."""

    def examples():
        for split in ("train", "validation", "test"):
            for number, image in enumerate(read(split)):
                yield Example(split, f"{split}-{number}", image, 0)

    return dataclasses.replace(tiny_task(), source=Carried(examples, reads=reads))


def of(pictures):
    return lambda split: [Image.open(path).copy() for path in sorted(pictures.glob(f"{split}*"))]


def test_a_changed_picture_is_seen_and_one_more_too(pictures):
    task = task_of(of(pictures), [pictures])
    found = [every_split(task)]
    assert every_split(task) == found[0]
    write(pictures / "train.png", 99)
    assert (loading.open_split(task, "train")[0]["image"] == 99).all()
    found.append(every_split(task))
    write(pictures / "train-more.png", 7)
    found.append(every_split(task))
    assert [each["train"].images for each in found] == [1, 1, 2]
    assert len({each["train"].digest for each in found}) == 3


def test_what_is_read_must_be_named(pictures):
    """Or images of before would be given for those of now."""
    for reads in ((), [pictures / "validation.png"]):
        task = task_of(of(pictures), reads)
        with pytest.raises(UndeclaredFileError, match=r"from .*train\.png, .*reads=\['.*pictures'"):
            loading.open_split(task, "train")
        assert not layout.cached_directory(task).exists()
    every = [str(path) for path in pictures.iterdir()]
    assert loading.task_size(task_of(of(pictures), every), "test") == 1


def test_what_is_named_must_be_there(pictures):
    with pytest.raises(TaskError, match="where nothing lies"):
        loading.open_split(task_of(of(pictures), [pictures / "gone"]), "train")


def test_what_may_never_end_is_refused_by_name_and_not_waited_for_in_a_folder(pictures):
    task = task_of(of(pictures), [pictures])
    found = every_split(task)
    os.mkfifo(pictures / "pipe")  # who opens it waits for ever
    (pictures / "zeros").symlink_to("/dev/zero")
    assert every_split(task) == found
    for name in ("pipe", "zeros"):
        with pytest.raises(TaskError, match=f"{name}, which is a pipe or a device"):
            loading.open_split(task_of(of(pictures), [pictures / name]), "train")


def unpacked(split):
    """A picture that the task writes itself, as from an archive, and reads again."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "picture.png")
        Image.new("L", (4, 4), 5).save(path)
        return [Image.open(path).copy()]


def test_what_it_writes_itself_need_not_be_named():
    assert loading.task_size(task_of(unpacked, ()), "train") == 1
