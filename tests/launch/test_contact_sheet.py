"""The picture of a task: each class in its own row, and no file overwritten."""

import numpy as np
import pytest
from PIL import Image

from adapters.experiment import contact_sheet, output
from tasks import registry
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.task import Task
from tests.launch import small


def flat(classes, images=10):
    """A task of flat squares: class n is of the colour (n, 0, 255)."""

    def examples():
        for split in ("train", "validation", "test"):
            for number in range(images):
                for label in range(classes):
                    image = Image.new("RGB", (8, 8), (label, 0, 255))
                    yield Example(split, f"{number}-{label}", image, label)

    labels = tuple(f"class {label}" for label in range(classes))
    still = Augmentation((1, 1), (1, 1))
    return Task("flat", Carried(examples), labels, "", (0, 1), augmentation=still)


@pytest.mark.parametrize(("classes", "shown"), [(3, [0, 1, 2]), (24, list(range(0, 24, 2)))])
def test_a_row_shows_images_of_its_class_alone(tmp_path, monkeypatch, classes, shown):
    monkeypatch.setenv("MODELPATCH_CACHE", str(tmp_path))
    sheet = np.asarray(contact_sheet.contact_sheet(flat(classes), None))
    images = (sheet[..., 1] == 0) & (sheet[..., 2] == 255)
    step = contact_sheet.CELL + contact_sheet.GAP
    for row, label in enumerate(shown):
        top = contact_sheet.LINE + row * step
        inside = slice(top, top + contact_sheet.CELL)
        assert set(sheet[inside, :, 0][images[inside]]) == {label}
        # Eight as stored and four views.
        assert images[inside].sum() == 12 * contact_sheet.CELL**2
    assert images.sum() == len(shown) * 12 * contact_sheet.CELL**2


def test_the_picture_is_the_same_every_time_and_overwrites_no_other(tmp_path):
    task = registry.resolve_one(f"folder:{small.write_folder(tmp_path / 'greys', 2, images=6)}")
    path = tmp_path / "greys.png"
    for _ in range(2):
        contact_sheet.write_contact_sheet(path, task, None)
    path.write_bytes(b"a picture of mine")
    with pytest.raises(output.OutputFileError, match=r"greys\.png exists .* choose another file"):
        contact_sheet.write_contact_sheet(path, task, None)
    assert path.read_bytes() == b"a picture of mine"
