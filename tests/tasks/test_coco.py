"""Images with boxes from a COCO file: what is used, and all that is wrong, named and counted."""

import json
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


def image(number, size=SIDES):
    """A square whose place and grey follow from the number, on noise, and its box."""
    pixels = np.random.default_rng(number).integers(0, 90, (size[1], size[0], 3)).astype(np.uint8)
    left, top = 2 * number, number
    pixels[top : top + 12, left : left + 15] = 150 + 4 * number
    return Image.fromarray(pixels), [left, top, 15, 12]


@pytest.fixture
def folder(tmp_path):
    """A folder of twenty images and the document of its annotations, without faults."""
    (tmp_path / "shots" / "deep").mkdir(parents=True)
    document = {
        "images": [],
        "annotations": [],
        "categories": [
            {"id": 7, "name": "dark", "supercategory": "square"},
            {"id": 3, "name": "light"},
            {"id": 1, "name": "square"},
        ],
    }
    for number in range(COUNT):
        made, box = image(number)
        name = f"{'deep/' if number % 2 else ''}{number:02d}.png"
        made.save(tmp_path / "shots" / name)
        size = {"width": SIDES[0], "height": SIDES[1]}
        document["images"].append({"id": 100 + number, "file_name": name, **size})
        label = {"category_id": 3 if number % 4 < 2 else 7, "iscrowd": 0}
        document["annotations"].append(
            {"id": number, "image_id": 100 + number, "bbox": box, **label}
        )
    return tmp_path, document


def resolved(folder, document):
    (folder / "shots.json").write_text(json.dumps(document))
    (task,) = registry.resolve([f"coco:{folder / 'shots'}", str(folder / "shots.json")])
    return task


def examples(task):
    return {
        example["name"]: (split, example)
        for split in task.splits
        for example in loading.open_split(task, split)
    }


def test_boxes_lie_around_what_they_are_of(folder):
    """In each split, in any process; a category without objects is no label."""
    task = resolved(*folder)
    assert (task.name, task.labels, task.metric) == ("shots", ("light", "dark"), "AP")
    found = examples(pickle.loads(pickle.dumps(task)))
    assert len(found) == COUNT
    assert {split for split, _ in found.values()} == {"train", "validation", "test"}
    for name, (_, example) in found.items():
        (row,) = example["objects"]
        left, top, right, bottom = (row[:4] * np.tile(SIDES, 2)).round().astype(int)
        assert example["image"][top:bottom, left:right].min() >= 150
        assert (right - left, bottom - top) == (15, 12)
        number = int(name[-6:-4])
        assert task.labels[int(row[4])] == ("light" if number % 4 < 2 else "dark")
    assert {split for split, _ in examples(resolved(*folder)).values()} <= set(task.splits)
    (batch,) = pipeline.evaluation_batches(
        task, "test", pipeline.Preprocessing(64, (0.0,) * 3, (1.0,) * 3), 4
    )
    assert (batch.targets["objects"][batch.mask][..., 4] >= 0).sum() == batch.mask.sum()


def test_a_name_cut_at_its_comma_is_whole_again(folder):
    """As a flag with a list gives it; beside other tasks."""
    where, document = folder
    resolved(where, document)
    parts = ["digits", f"coco:{where / 'shots'}", str(where / "shots.json"), "glyphs"]
    assert [task.name for task in chosen_tasks.chosen(parts)] == ["digits", "shots", "glyphs"]
    assert chosen_tasks.names(parts) == ["digits", f"{parts[1]},{parts[2]}", "glyphs"]


def test_a_users_boxes_can_be_asked_for(folder):
    """The task keeps its name, its data and what is odd in them."""
    where, document = folder
    plain = resolved(where, document)
    place = f"coco:{where / 'shots'},{where / 'shots.json'}"
    (asked,) = registry.resolve([f"{place}(queries=true)"])
    assert (asked.name, asked.inputs) == ("shots", {"query": (16,)})
    assert "left dark" in asked.words["query"]
    assert registry.resolve([asked.spelled]) == (asked,)
    assert loading.contents(asked, "test") == loading.contents(plain, "test")
    assert loading.inventory(asked) == loading.inventory(plain)
    assert registry.resolve([f"{place}(queries=false)"])[0].inputs == {}


def test_other_boxes_are_other_data(folder):
    where, document = folder
    before = [loading.contents(resolved(where, document), split) for split in ("train", "test")]
    for annotation in document["annotations"]:
        annotation["bbox"][2] += 1
    after = [loading.contents(resolved(where, document), split) for split in ("train", "test")]
    assert all(one != other for one, other in zip(before, after, strict=True))


def with_faults(where, document):
    """Every fault once, in images and annotations of their own; {why: names}."""
    add = document["annotations"].append
    plain = {"image_id": 100, "category_id": 3, "iscrowd": 0}
    add({**plain, "id": 50, "bbox": [70, 5, 10, 10]})
    add({**plain, "id": 51, "bbox": [5, 5, 0, 10]})
    add({**plain, "id": 52, "bbox": [5, 5, 10, 10], "category_id": 9})
    add({**plain, "id": 53, "bbox": [5, 5, 10, 10], "iscrowd": 1})
    add({**plain, "id": 54, "bbox": [5, 5, 10]})
    add({**plain, "id": 55, "bbox": [50, 30, 20, 8], "image_id": 101})
    add({**plain, "id": 56, "bbox": [5, 5, 10, 10], "image_id": 999})
    add("no annotation")
    size = {"width": SIDES[0], "height": SIDES[1]}
    for number, name in enumerate(("none.png", "00.png", "empty.png", "bad.png", "many.png"), 200):
        document["images"].append({"id": number, "file_name": name, **size})
    document["images"] += [
        {"id": 100, "file_name": "again.png", **size},
        {"id": 210, "file_name": "copy.png", **size},
        {"id": 211, "file_name": "../out.png", **size},
        {"id": 212, "file_name": "other.png", "width": 10, "height": 20},
        {"file_name": "lost.png"},
    ]
    image(20)[0].save(where / "shots" / "empty.png")
    image(21)[0].save(where / "shots" / "other.png")
    image(22)[0].save(where / "shots" / "many.png")
    image(0)[0].save(where / "shots" / "copy.png")
    (where / "shots" / "bad.png").write_bytes(b"no image at all")
    for number in range(101):
        add({**plain, "id": 300 + number, "image_id": 204, "bbox": [5, 5, 10, 10]})
    return {
        "boxes outside their image": ["00.png, annotation 50"],
        "boxes of no area": ["00.png, annotation 51"],
        "annotations of unknown categories": ["00.png, annotation 52"],
        "crowds": ["00.png, annotation 53"],
        "annotations without a box of four numbers": ["00.png, annotation 54"],
        "annotations of images that are not listed": ["annotation 26"],
        "annotations that are none": ["annotation 27"],
        "more than 100 objects": ["many.png"],
        "images that are listed twice": ["00.png"],
        "images whose number another has": ["again.png"],
        "images outside the folder": ["../out.png"],
        "images without a number or a file name": ["image 29"],
        "images that are not there": ["none.png"],
        "images of another size than is said of them": ["other.png"],
        "images that cannot be opened": ["bad.png"],
    }


def test_all_that_is_wrong_is_named_and_counted(folder):
    """A copy has other objects, so neither is right: both are left out."""
    where, document = folder
    wanted = with_faults(where, document)
    task = resolved(where, document)
    with pytest.warns(InventoryWarning) as said:
        found = loading.inventory(task)
    assert found.left_out == wanted
    assert found.noted == {
        "no objects": ["empty.png"],
        "boxes that reach over the edge of their image, cut there": ["deep/01.png, annotation 55"],
    }
    assert found.contradictions == [["00.png", "copy.png"]]
    messages = " ".join(str(one.message) for one in said)
    for names in wanted.values():
        assert names[0] in messages
    for why, names in wanted.items():
        assert f"{len(names)} ({why})" in found.summary
    assert "objects" in found.summary
    assert found.to_json()["noted"] == found.noted
    used = examples(task)
    assert set(used) == {"empty.png", *(one["file_name"] for one in document["images"][1:COUNT])}
    assert not len(used["empty.png"][1]["objects"])
    np.testing.assert_allclose(used["deep/01.png"][1]["objects"][1, 2:4], [1, 38 / 40])


def test_images_alike_but_for_a_copy_s_name_are_used_once(folder):
    where, document = folder
    image(1)[0].save(where / "shots" / "copy.png")
    size = {"width": SIDES[0], "height": SIDES[1]}
    document["images"].append({"id": 210, "file_name": "copy.png", **size})
    document["annotations"].append({**document["annotations"][1], "id": 77, "image_id": 210})
    task = resolved(where, document)
    with pytest.warns(InventoryWarning, match=r"copy\.png"):
        found = loading.inventory(task)
    assert found.copies == [["copy.png", "deep/01.png"]]
    assert "deep/01.png" not in examples(task)


def test_a_turned_photograph_has_its_boxes_as_it_is_seen(folder):
    """The file says 60 x 40 by a mark of the camera; what is stored is 40 x 60."""
    where, document = folder
    made, _ = image(5)
    exif = Image.Exif()
    exif[274] = 6
    made.transpose(Image.Transpose.ROTATE_90).save(where / "shots" / "deep/05.png", exif=exif)
    task = resolved(where, document)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, example = examples(task)["deep/05.png"]
    assert example["image"].shape == (SIDES[1], SIDES[0], 3)


def changed(document, **parts):
    return {**document, **parts}


def test_files_that_are_no_task_are_refused(folder):
    where, document = folder
    none, first = [], document["categories"][0]
    for wrong, said in (
        (changed(document, images=none), "has no images: there is nothing"),
        (changed(document, categories=none), "has no categories"),
        (changed(document, annotations=none), r"no object that can be used \(20 no objects\)"),
        (changed(document, categories=[first, first]), "two categories of the number 7"),
        (changed(document, categories=[{"id": 1}]), "each has a number and a name"),
        ({"images": none}, "has no list of images|has no images"),
        ([1], "has no list of images"),
    ):
        with pytest.raises(FolderError, match=said):
            resolved(where, wrong)
    few = changed(document, images=document["images"][:2])
    task = resolved(where, few)
    with pytest.raises(FolderError, match="2 different images that can be used, and needs three"):
        loading.open_split(task, "train")
    (where / "shots.json").write_text("{")
    with pytest.raises(FolderError, match="cannot be read as JSON"):
        registry.resolve([f"coco:{where / 'shots'},{where / 'shots.json'}"])
    for name in ("coco:", f"coco:{where / 'shots'}", "coco:nowhere,none.json"):
        with pytest.raises(FolderError, match="write coco:IMAGES,ANNOTATIONS"):
            registry.resolve([name])
