"""What lies in a folder: endings, sub-folders, names, and files of every kind."""

import io
import os
import random
import sys
import unicodedata

import pytest
from PIL import Image

from adapters import image_kinds, preprocessing
from tasks import folder, loading
from tasks.inventory import InventoryWarning
from tasks.listing import FolderError, list_folder


def image(shade: int, kind: str = "png") -> bytes:
    """A picture of its own for each shade."""
    file = io.BytesIO()
    Image.frombytes("L", (9, 8), random.Random(shade).randbytes(72)).save(file, kind)
    return file.getvalue()


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def fill(root, files):
    """Writes {path: bytes}, or None for an empty folder."""
    for name, content in files.items():
        path = root / name
        (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)
    return root


def classes(*names, images=4, start=0):
    """So many images for each name, all of them different."""
    shades = iter(range(start, 256))
    return {f"{name}/{n}.png": image(next(shades)) for name in names for n in range(images)}


def sizes(task):
    return {split: loading.task_size(task, split) for split in task.splits}


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (".jfif", "jpeg"),
        (".JPE", "jpeg"),
        (".PNG", "png"),
        ("", "png"),
        ("", "jpeg"),
        (".jpg_large", "jpeg"),
        (".download", "webp"),
        (".dat", "bmp"),
        (".1", "gif"),
        (".page", "tiff"),
    ],
)
def test_an_image_is_one_by_its_ending_or_its_first_bytes(tmp_path, ending, kind):
    fill(tmp_path / "kinds", classes("cat"))
    fill(tmp_path / "kinds", {f"dog/{n}{ending}": image(100 + n, kind) for n in range(4)})
    task = folder.folder_task(str(tmp_path / "kinds"))
    assert task.labels == ("cat", "dog")
    assert sum(sizes(task).values()) == 8


def test_all_below_a_class_is_its_own(tmp_path):
    files = classes("dog/2023", "dog/2024/spring", "cat")
    task = folder.folder_task(str(fill(tmp_path / "nested", files)))
    assert task.labels == ("cat", "dog")
    names = {each["name"] for split in task.splits for each in loading.open_split(task, split)}
    assert names == set(files)


@pytest.mark.parametrize(
    "folders",
    [
        ("train", "val"),
        ("Train", "Valid", "Test"),
        ("TRAINING", "VALIDATION", "Testing"),
        ("training", "valid", "testing"),
    ],
)
def test_folders_of_splits_may_be_called_so(tmp_path, folders):
    root = tmp_path / "ready"
    for number, name in enumerate(folders):
        fill(root / name, classes("cat", "dog", start=40 * number))
    task = folder.folder_task(str(root))
    assert task.splits == ("train", "validation", "test")[: len(folders)]
    assert task.labels == ("cat", "dog")
    assert set(sizes(task).values()) == {8}


def test_two_folders_of_one_split_are_refused(tmp_path):
    for number, name in enumerate(("train", "val", "valid")):
        fill(tmp_path / name, classes("cat", "dog", start=40 * number))
    with pytest.raises(FolderError, match="two folders of the split validation: val and valid"):
        folder.folder_task(str(tmp_path))


def test_splits_without_one_to_train_on_are_refused(tmp_path):
    fill(tmp_path, classes("val/cat", "val/dog", "Testing/cat", "Testing/dog"))
    with pytest.raises(FolderError, match="has Testing and val, but no folder called train"):
        folder.folder_task(str(tmp_path))


def test_classes_may_be_called_as_splits_are(tmp_path):
    task = folder.folder_task(str(fill(tmp_path, classes("test", "train", "val"))))
    assert task.labels == ("test", "train", "val")


def test_splits_inside_classes_are_refused(tmp_path):
    fill(tmp_path, classes("cat/train", "cat/test", "dog/train", "dog/test"))
    with pytest.raises(FolderError, match="cat has splits of its own"):
        folder.folder_task(str(tmp_path))


def test_system_s_own_folders_and_files_are_no_classes(tmp_path):
    junk = {
        "__MACOSX/._cat": b"x",
        "__MACOSX/dog/._1.png": b"x",
        "._dog": b"x",
        ".ipynb_checkpoints/1.png": image(1),
        "@eaDir/1.png": image(2),
        "cat/._0.png": b"x",
        "cat/.ipynb_checkpoints/0-checkpoint.png": image(0),
        "cat/Thumbs.db": b"x",
        "readme.txt": b"x",
    }
    task = folder.folder_task(str(fill(tmp_path / "junk", {**classes("cat", "dog"), **junk})))
    assert task.labels == ("cat", "dog")
    assert sum(sizes(task).values()) == 8  # and no warning


@pytest.mark.parametrize("brought", [False, True])
def test_one_name_in_two_forms_of_unicode_is_one_class(tmp_path, brought):
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    if brought:
        fill(tmp_path / "train", classes(composed, "bar"))
        fill(tmp_path / "val", classes(apart, "bar", start=40))
    else:
        fill(tmp_path, classes(composed, apart, "bar"))
    task = folder.folder_task(str(tmp_path))
    assert task.labels == ("bar", composed)
    assert sum(sizes(task).values()) == (16 if brought else 12)


def test_the_form_of_a_file_s_name_does_not_move_it(tmp_path):
    sides = []
    for form in ("NFC", "NFD"):
        root = tmp_path / form
        names = (unicodedata.normalize(form, f"é{n}.png") for n in range(12))
        fill(root, {f"a/{name}": image(n) for n, name in enumerate(names)} | classes("b", start=99))
        task = folder.folder_task(str(root))
        sides.append(
            {
                (unicodedata.normalize("NFC", each["name"]), split)
                for split in task.splits
                for each in loading.open_split(task, split)
            }
        )
    assert sides[0] == sides[1]


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such names")
def test_a_name_that_is_not_utf_8_trains(tmp_path):
    fill(tmp_path, classes("blue", "red"))
    with open(os.path.join(os.fsencode(tmp_path), b"red", b"caf\xe9.png"), "wb") as file:
        file.write(image(200))
    task = folder.folder_task(str(tmp_path))
    names = {each["name"] for split in task.splits for each in loading.open_split(task, split)}
    assert r"red/caf\xe9.png" in names
    assert len(names) == 9


def test_a_name_that_acts_on_a_terminal_is_shown_in_figures(tmp_path):
    fill(tmp_path, classes("blue", "red") | {"red/\x1b[2J\n.png": b"x"})
    with pytest.warns(InventoryWarning, match=r"red/\\x1b\[2J\\n.png is left out"):
        loading.open_split(folder.folder_task(str(tmp_path)), "train")


def test_only_regular_files_are_opened(tmp_path):
    fill(tmp_path, classes("cat", "dog"))
    os.mkfifo(tmp_path / "cat" / "pipe.png")  # who opens it waits for ever
    os.symlink("/dev/zero", tmp_path / "cat" / "zero.png")
    os.symlink(tmp_path / "nowhere", tmp_path / "dog" / "gone.png")
    os.symlink(tmp_path, tmp_path / "dog" / "circle")
    os.mkfifo(tmp_path / "cat" / "pipe")
    task = folder.folder_task(str(tmp_path))
    with pytest.warns(InventoryWarning) as said:
        assert sum(sizes(task).values()) == 8
    texts = sorted(str(one.message) for one in said)
    assert "cat/pipe, cat/pipe.png, cat/zero.png are left out: no regular file" in texts[0]
    assert "dog/circle, dog/gone.png are left out: it cannot be opened, or is a" in texts[1]


def test_a_linked_folder_is_read(tmp_path):
    fill(tmp_path / "elsewhere", classes("dog"))
    fill(tmp_path / "root", classes("cat", start=100))
    os.symlink(tmp_path / "elsewhere" / "dog", tmp_path / "root" / "dog")
    assert folder.folder_task(str(tmp_path / "root")).labels == ("cat", "dog")


def test_what_is_an_image_but_not_read_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(image_kinds, "reads_heic", lambda: False)
    files = classes("cat", "dog") | {
        "cat/a.HEIC": HEIC,
        "cat/b": HEIC,
        "dog/c.avif": b"\0\0\0\x1cftypavif\0\0\0\0mif1avif",
        "dog/d.dng": image(9, "tiff"),
        "dog/e.pgm": b"P5 1 1 255 x",
        "loose.png": image(77),
        "empty": None,
    }
    task = folder.folder_task(str(fill(tmp_path / "mixed", files)))
    with pytest.warns(InventoryWarning) as said:
        assert sum(sizes(task).values()) == 8
    texts = " | ".join(str(one.message) for one in said)
    for part in (
        "cat/a.HEIC, cat/b are left out: HEIC images are read only where pillow-heif is",
        "dog/c.avif is left out: AVIF images are not read",
        "dog/d.dng is left out: raw images",
        "dog/e.pgm is left out: PNM images",
        "loose.png is left out: beside the folders of the classes",
        "the folder empty holds no image, and gives no class",
    ):
        assert part in texts
    assert len(said) == 6


def test_a_class_of_images_that_are_not_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(image_kinds, "reads_heic", lambda: False)
    fill(tmp_path, classes("cat", "cow") | {f"dog/{n}.HEIC": HEIC for n in range(20)})
    with pytest.raises(FolderError, match=r"dog holds no image .*pillow-heif .*\(it holds 20\)"):
        folder.folder_task(str(tmp_path))


def test_a_class_of_too_few_images_that_are_read_is_refused_with_the_others_named(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(image_kinds, "reads_heic", lambda: False)
    files = classes("cat") | classes("dog", images=2, start=50)
    fill(tmp_path, files | {f"dog/{n}.heic": HEIC for n in range(5)})
    with pytest.raises(FolderError, match=r"dog holds 2 images \(5 left out: HEIC images are"):
        folder.folder_task(str(tmp_path))


class HEIF:
    """Stands in for pillow-heif: an HEIC file is a picture of its length."""

    @staticmethod
    def register_heif_opener():
        Image.register_open("HEIF", HEIF.open, lambda start: start[4:8] == b"ftyp")

    @staticmethod
    def open(file, name):
        made = Image.new("RGB", (len(file.read()), 1))
        made.load_end = lambda: None
        return made


def test_heic_is_read_where_its_package_is(tmp_path, monkeypatch):
    fill(tmp_path, classes("cat") | {f"dog/{n}.HEIC": HEIC + bytes(n) for n in range(4)})
    monkeypatch.setitem(sys.modules, "pillow_heif", HEIF)
    image_kinds.reads_heic.cache_clear()
    try:
        assert folder.folder_task(str(tmp_path)).labels == ("cat", "dog")
        assert preprocessing.decode(HEIC).size == (len(HEIC), 1)
    finally:
        image_kinds.reads_heic.cache_clear()
        Image.OPEN.pop("HEIF")
        Image.ID.remove("HEIF")


def test_what_lies_beside_splits_is_said(tmp_path):
    for number, name in enumerate(("train", "val", "extra")):
        fill(tmp_path / name, classes("cat", "dog", start=40 * number))
    found = list_folder(tmp_path)
    assert [why for why, _ in found.left_out] == ["in a folder beside those of the splits"] * 8


def test_a_folder_that_cannot_be_looked_into_is_refused(tmp_path, monkeypatch):
    fill(tmp_path, classes("cat", "dog"))
    scan = os.scandir

    def refusing(path):
        if os.path.basename(path) == "dog":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(FolderError, match="dog cannot be looked into: Permission denied"):
        folder.folder_task(str(tmp_path))
