"""Which images of a folder are used where: copies, contradictions, and what looks alike."""

import collections
import functools
import hashlib
import io
import json
import pathlib
import pickle
import random
import tempfile
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from adapters import preprocessing
from tasks import folder, loading
from tasks.inventory import InventoryWarning
from tasks.listing import FolderError
from tasks.task import SPLITS


def noise(seed: int) -> Image.Image:
    """A picture like no other."""
    return Image.frombytes("RGB", (9, 8), random.Random(seed).randbytes(216))


def photograph(seed: int) -> Image.Image:
    """A smooth picture like no other."""
    return noise(seed).resize((72, 64), Image.Resampling.BICUBIC)


def saved(picture: Image.Image, kind: str = "png", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def fill(root: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def plain(*folders: str, images: int = 6) -> dict[str, bytes]:
    """So many different images in each folder."""
    return {
        f"{name}/{n}.png": saved(noise(1000 * number + n))
        for number, name in enumerate(folders)
        for n in range(images)
    }


def sides(task) -> dict[str, set[str]]:
    return {
        split: {each["name"] for each in loading.open_split(task, split)} for split in task.splits
    }


def said(task) -> tuple[str, ...]:
    """The warnings of reading it."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        task.source.inventory()
    assert all(issubclass(one.category, InventoryWarning) for one in heard)
    return tuple(str(one.message) for one in heard)


def test_a_folder_without_copies_is_cut_by_the_names_of_its_files(tmp_path):
    task = folder.folder_task(str(fill(tmp_path, plain("a", "b", images=20))))
    assert said(task) == ()
    order = sorted(
        (f"{n}.png" for n in range(20)), key=lambda name: hashlib.sha256(name.encode()).digest()
    )
    cuts = {"train": order[:14], "validation": order[14:17], "test": order[17:]}
    for split, names in cuts.items():
        found = [each["name"] for each in loading.open_split(task, split)]
        assert found == [f"{label}/{name}" for label in ("a", "b") for name in names]


def test_of_copies_the_one_with_the_plain_name_is_used(tmp_path):
    files = plain("cat", "dog")
    for n in range(0, 6, 2):
        files[f"cat/{n} (1).png"] = files[f"cat/{n}.png"]
        files[f"cat/more/{n} copy.bmp"] = saved(noise(n), "bmp")
    task = folder.folder_task(str(fill(tmp_path / "pets", files)))
    (words,) = said(task)
    assert words.startswith(
        "pets: 6 images are left out as copies of others, pixel by pixel: cat/0 (1).png = "
        "cat/0.png, "
    )
    assert set.union(*sides(task).values()) == set(plain("cat", "dog"))
    before = folder.folder_task(str(fill(tmp_path / "clean", plain("cat", "dog"))))
    assert sides(before) == sides(task)  # a copy moves nothing


def test_a_picture_of_two_classes_is_used_for_none(tmp_path):
    files = plain("cat", "dog")
    files["dog/lost.png"] = files["cat/3.png"]
    task = folder.folder_task(str(fill(tmp_path / "pets", files)))
    assert said(task) == (
        "pets: 1 picture with several labels is left out: cat/3.png = dog/lost.png.",
    )
    assert len(set.union(*sides(task).values()) & {"cat/3.png", "dog/lost.png"}) == 0
    assert task.source.inventory().contradictions == [["cat/3.png", "dog/lost.png"]]


def test_copies_in_several_splits_are_left_to_the_one_held_out_longest(tmp_path):
    names = [f"{split}/{label}" for split in ("train", "Val", "test") for label in ("a", "b")]
    files = plain(*names)
    files["train/a/again.png"] = files["test/a/1.png"]
    files["Val/a/again.png"] = files["test/a/2.png"]
    files["train/b/again.png"] = files["Val/b/3.png"]
    files["train/b/twice.png"] = files["train/b/0.png"]
    task = folder.folder_task(str(fill(tmp_path, files)))
    assert len(said(task)) == 1
    assert {split: len(own) for split, own in sides(task).items()} == dict.fromkeys(SPLITS, 12)
    assert not [name for own in sides(task).values() for name in own if "again" in name]
    assert ["test/a/1.png", "train/a/again.png"] in task.source.inventory().copies


def versions(seed: int) -> dict[str, bytes]:
    """A picture as it was, saved anew, and smaller."""
    whole = photograph(seed)
    return {
        "whole.png": saved(whole),
        "anew.jpg": saved(whole, "jpeg", quality=80),
        "small.png": saved(whole.resize((54, 48), Image.Resampling.LANCZOS)),
    }


def test_images_that_look_alike_share_a_side(tmp_path):
    files = {
        f"{label}/{n}-{name}": content
        for start, label in ((0, "a"), (100, "b"))
        for n in range(10)
        for name, content in versions(start + n).items()
    }
    task = folder.folder_task(str(fill(tmp_path, files)))
    assert said(task) == ()
    found = sides(task)
    for label in ("a", "b"):
        for n in range(10):
            of_one = {f"{label}/{n}-{name}" for name in versions(n)}
            assert any(of_one <= own for own in found.values())
    assert {split: len(own) for split, own in found.items()} == {
        "train": 36,
        "validation": 12,
        "test": 12,
    }
    assert len(task.source.inventory().alike) == 20
    assert "; 60 of them look like others, which share their split" in (
        task.source.inventory().summary
    )


def test_what_looks_alike_across_splits_or_classes_is_said_and_used(tmp_path):
    places = [
        f"{split}/{label}/{n}.png" for split in ("train", "val") for label in "ab" for n in "0123"
    ]
    files = {name: saved(photograph(100 + seed)) for seed, name in enumerate(places)}
    files["train/a/one.png"], files["val/a/one.jpg"], _ = versions(7).values()
    files["train/a/two.png"], files["train/b/two.jpg"], _ = versions(8).values()
    task = folder.folder_task(str(fill(tmp_path, files)))
    (words,) = said(task)
    assert "train/a/one.png and val/a/one.jpg" in words
    assert "train/a/two.png and train/b/two.jpg" in words
    assert {split: len(own) for split, own in sides(task).items()} == {"train": 11, "validation": 9}


def test_a_class_that_looks_the_same_throughout_is_cut_all_the_same(tmp_path):
    whole = np.asarray(photograph(1))
    files = plain("other") | {f"same/{n}.png": saved(Image.fromarray(whole ^ n)) for n in range(4)}
    task = folder.folder_task(str(fill(tmp_path, files)))
    assert "same/" in "".join(said(task))
    assert all(any(name.startswith("same") for name in own) for own in sides(task).values())


def test_even_images_look_like_nothing(tmp_path):
    files = {
        f"{label}/{n}.png": saved(Image.new("L", (9, 8), 100 * place + n))
        for place, label in enumerate("ab")
        for n in range(6)
    }
    assert said(folder.folder_task(str(fill(tmp_path, files)))) == ()


def test_a_class_that_a_split_lacks_is_said(tmp_path):
    files = plain("train/a", "train/b", "val/a", "val/b", "test/a")
    task = folder.folder_task(str(fill(tmp_path / "ready", files)))
    assert said(task) == ("ready: test has no image of b: its scores say nothing of it.",)
    assert task.source.inventory().to_json()["lacking"] == {"test": ["b"]}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            plain("cat") | {f"dog/{n}.png": saved(noise(99)) for n in range(4)},
            "dog has 1 different image; a class needs three",
        ),
        (
            plain("cat") | {f"dog/{n}.png": saved(noise(98 + n % 2)) for n in range(4)},
            "dog has 2 different images; a class needs three",
        ),
        (
            plain("cat")
            | {f"dog/{n}.png": content for n, content in enumerate(plain("cat").values())},
            "no image of cat, dog is left to train on",
        ),
        (
            plain("train/a", "train/b", "val/a")
            | {f"test/a/{n}.png": content for n, content in enumerate(plain("train/a").values())},
            "no image of a is left to train on",
        ),
        (plain("train/a", "train/b", "val/a") | {"test/a/x.png": b"x"}, "no image is left for tes"),
        (plain("train/a", "train/b", "val/c"), r"validation has classes .* has not: \['c'\]"),
    ],
    ids=["one", "two", "all contradict", "all are tested", "damaged", "unknown class"],
)
def test_a_folder_of_which_too_little_is_left_is_refused(tmp_path, files, words):
    task = folder.folder_task(str(fill(tmp_path, files)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InventoryWarning)
        with pytest.raises(FolderError, match=words):
            loading.open_split(task, "train")


def test_every_file_is_decoded_once(tmp_path, monkeypatch):
    root = fill(tmp_path / "clean", plain("a", "b"))
    decoded = collections.Counter[bytes]()
    decode = preprocessing.decode

    def counting(data, **options):
        decoded[data] += 1
        return decode(data, **options)

    monkeypatch.setattr(preprocessing, "decode", counting)
    task = folder.folder_task(str(root))
    for _ in range(2):
        for split in task.splits:
            list(loading.open_split(task, split))
    assert set(decoded.values()) == {1}
    assert len(decoded) == 12
    fill(root, {"a/new.png": saved(noise(77))})
    task.source.inventory()
    assert len(decoded) == 13
    assert set(decoded.values()) == {1}


def test_a_source_sent_to_another_process_reads_the_same(tmp_path):
    task = folder.folder_task(str(fill(tmp_path, plain("a", "b"))))
    found = sides(task)
    assert sides(pickle.loads(pickle.dumps(task))) == found


@functools.cache
def content(seed: int, kind: str) -> bytes:
    """A picture of that number, as it was, saved anew or cut off; or words."""
    whole = saved(photograph(seed), "jpeg" if kind == "anew" else "png")
    return {"damaged": whole[:50], "text": b"words"}.get(kind, whole)


PIECES = st.lists(
    st.tuples(
        st.sampled_from(["train/", "VAL/", "test/"]),
        st.sampled_from("ab"),
        st.sampled_from(["", "sub/", ".hidden/", "__MACOSX/"]),
        st.sampled_from(["{}.png", "{}", "._{}.png", "{}.jfif", "{}.heic", "{}.txt", "{} (1).PNG"]),
        st.sampled_from(["whole", "whole", "anew", "damaged", "text"]),
        st.integers(0, 40),
    ),
    max_size=20,
)


@given(pieces=PIECES, splits=st.booleans())
@settings(max_examples=25, deadline=None)
def test_every_file_of_a_folder_is_used_once_or_its_reason_is_known(pieces, splits):
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore", InventoryWarning)
        root = pathlib.Path(place) / "any"
        base = ("train/", "VAL/", "test/") if splits else ("",)
        names = [f"{split}{label}/{n}x.png" for split in base for label in "ab" for n in "012"]
        for seed, name in enumerate(names):
            fill(root, {name: content(100 + seed, "whole")})
        for number, (split, label, below, name, kind, seed) in enumerate(pieces):
            inside = f"{split if splits else ''}{label}/{below}{name.format(number)}"
            fill(root, {inside: content(seed, kind)})
        task = folder.folder_task(str(root))
        inventory = task.source.inventory()
        seen = collections.Counter[str]()
        sides_of = collections.defaultdict[bytes, set[tuple[str, int]]](set)
        for split in task.splits:
            opened = loading.open_split(task, split)
            assert len(opened) == sum(inventory.used[split].values())
            for each in opened:
                own = {"validation": "VAL"}.get(split, split)
                seen[f"{own}/{each['name']}" if splits else each["name"]] += 1
                sides_of[each["image"].tobytes()].add((split, each["label"]))
        assert all(len(own) == 1 for own in sides_of.values())
        out = [name for names in inventory.left_out.values() for name in names]
        out += [name for names in inventory.copies for name in names[1:]]
        out += [name for names in inventory.contradictions for name in names]
        assert max(collections.Counter([*seen.elements(), *out]).values()) == 1
        files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        unseen = files - seen.keys() - set(out)
        hidden = tuple(f"{name}/" for name in out if (root / name).is_dir())
        assert all(name.startswith(hidden) for name in unseen)
        assert json.loads(json.dumps(inventory.to_json()))["used"] == inventory.used
