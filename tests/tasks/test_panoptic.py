"""Images with segments in COCO's panoptic format: what is used, and all that is wrong, named."""

import io
import json
import pickle
import warnings

import numpy as np
import pytest
from PIL import Image

from adapters.experiment import chosen_tasks
from adapters.panoptic_png import numbers_of, panoptic_png
from tasks import loading, registry
from tasks.inventory import InventoryWarning
from tasks.listing import FolderError

COUNT = 12
CATEGORIES = [
    {"id": 7, "name": "leaf", "isthing": 1},
    {"id": 3, "name": "unused", "isthing": 1},
    {"id": 9, "name": "soil", "isthing": 0},
]
LEAVES = (40_000, 70_001)  # of two leaves, numbers of more than one byte


def drawn(number, size=(48, 32)):
    """Noise on which two leaves lie, what is of the file of segments, and a crowd of leaves."""
    generator = np.random.default_rng(number)
    pixels = generator.integers(0, 90, (size[1], size[0], 3)).astype(np.uint8)
    segments = np.full((size[1], size[0]), 5)
    for place, leaf in enumerate(LEAVES):
        left = 2 * number % 12 + 20 * place
        segments[number : number + 9, left : left + 8] = leaf
    segments[-3:, :4], segments[-3:, 10:14] = 0, 8
    pixels[segments > 8] = 200
    return pixels, segments


def described(segments=None):
    labels = {5: 9, 8: 7, LEAVES[0]: 7, LEAVES[1]: 7} if segments is None else segments
    return [
        {"id": key, "category_id": label, "iscrowd": int(key == 8)} for key, label in labels.items()
    ]


class Written:
    """A folder of images, a file of annotations, and files of segments."""

    def __init__(self, root):
        self.root, self.images, self.annotations = root, [], []
        for folder in ("shots", "told"):
            (root / folder).mkdir()
        for number in range(COUNT):
            self.add(f"{number:02d}", *drawn(number))

    def add(self, name, pixels, segments, **entry):
        Image.fromarray(pixels).save(self.root / "shots" / f"{name}.png")
        if segments is not None:
            (self.root / "told" / f"{name}.png").write_bytes(panoptic_png(segments))
        self.images.append({"id": len(self.images), "file_name": f"{name}.png"})
        known = {"image_id": self.images[-1]["id"], "file_name": f"{name}.png"}
        self.annotations.append({**known, "segments_info": described(), **entry})

    def task(self):
        document = {
            "images": self.images,
            "annotations": self.annotations,
            "categories": CATEGORIES,
        }
        (self.root / "told.json").write_text(json.dumps(document))
        (task,) = chosen_tasks.chosen([f"panoptic:{self.root}/shots,{self.root}/told.json"])
        return task


@pytest.fixture
def written(tmp_path):
    return Written(tmp_path)


def test_numbers_survive_a_picture():
    numbers = np.array([[0, 255, 256], [65_535, 65_536, 2**24 - 1]])
    file = Image.open(io.BytesIO(panoptic_png(numbers)))
    np.testing.assert_array_equal(numbers_of(file), numbers)


def test_each_pixel_has_its_own_segment(written):
    """Surfaces come first, then the categories of things of which there are some."""
    task = written.task()
    assert (task.name, task.labels, task.metric) == ("shots", ("soil", "leaf"), "PQ")
    assert task.head == "panoptic(stuff=1, queries=16)"
    assert registry.resolve_one(task.spelled) == task
    meant = np.full(70_002, -2)
    meant[[0, 5, 8, *LEAVES]] = -1, 0, -1, 100, 101
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = pickle.loads(pickle.dumps(task))
        found = {
            example["name"]: example
            for split in task.splits
            for example in loading.open_split(again, split)
        }
    assert len(found) == COUNT
    for number in range(COUNT):
        own = found[f"{number:02d}.png"]
        np.testing.assert_array_equal(own["segments"], meant[drawn(number)[1]])
    first = next(iter(loading.open_split(task, "train")))["name"]
    before = {split: loading.contents(task, split) for split in task.splits}
    segments = drawn(int(first[:2]))[1]
    segments[0, 0] = 0
    (written.root / "told" / first).write_bytes(panoptic_png(segments))
    after = {split: loading.contents(written.task(), split) for split in task.splits}
    assert [split for split in before if before[split] != after[split]] == ["train"]


def test_all_that_is_wrong_is_named_and_counted(written):
    pixels, segments = drawn(30)
    written.add("none", pixels, None)
    written.add("small", pixels, segments[:16, :24])
    written.add("odd", pixels, np.where(segments == 5, 77, segments))
    written.add("empty", pixels, np.zeros_like(segments))
    written.add("bad", pixels, segments)
    (written.root / "told" / "bad.png").write_bytes(b"no image at all")
    written.add("gone", pixels, segments)
    (written.root / "shots" / "gone.png").unlink()
    written.add("outside", pixels, segments, file_name="../outside.png")
    written.add("bare", pixels, segments, segments_info=None)
    written.add("unknown", pixels, segments, segments_info=described({5: 4}))
    written.add("twice", pixels, segments, segments_info=described() * 2)
    written.add("many", pixels, segments, segments_info=described({9 + n: 7 for n in range(101)}))
    written.add("more", pixels, segments, segments_info=described({9 + n: 7 for n in range(257)}))
    written.add("again", pixels, segments)
    written.annotations += [written.annotations[-1], {"image_id": "nobody"}]
    written.images.append({"id": "lonely", "file_name": "lonely.png"})
    task = written.task()
    with pytest.warns(InventoryWarning) as said:
        found = loading.inventory(task)
    assert found.left_out == {
        "images without a file of segments": ["none.png"],
        "segments of another size than their image": ["small.png, 24 x 16 for 48 x 32"],
        "files with segments that are not listed": ["odd.png, numbers 77"],
        "files of segments without a pixel that counts": ["empty.png"],
        "files of segments that cannot be opened": ["bad.png"],
        "images that are not there": ["gone.png"],
        "annotations without a file in their folder": ["outside.png"],
        "annotations without segments_info": ["bare.png"],
        "annotations with segments of unknown categories": ["unknown.png"],
        "annotations with segments of no number, or of one number": ["twice.png"],
        "more than 100 segments of a class": ["many.png"],
        "more than 256 segments": ["more.png"],
        "images with several annotations": ["again.png"],
        "annotations of images that are not listed": [f"annotation {len(written.annotations) - 1}"],
        "images without an annotation": ["lonely.png"],
    }
    assert sum(own["leaf"] for own in found.used.values()) == 2 * COUNT
    assert "odd.png" in " ".join(str(one.message) for one in said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda each: each.update(isthing=None), "category 'leaf' without `isthing`"),
        (lambda each: each.update(name=""), "each has a number and a name"),
    ],
)
def test_files_that_say_nothing_are_refused(written, change, said, monkeypatch):
    odd = [dict(each) for each in CATEGORIES]
    change(odd[0])
    monkeypatch.setattr("tests.tasks.test_panoptic.CATEGORIES", odd)
    with pytest.raises(FolderError, match=said):
        written.task()


def test_what_is_not_there_is_named(written, tmp_path):
    written.task()
    for place, said in (
        (f"{tmp_path}/shots", "there is no ''; write panoptic:IMAGES,ANNOTATIONS"),
        (f"{tmp_path}/nothing,{tmp_path}/told.json", "there is no .*nothing"),
        (f"{tmp_path}/shots,{tmp_path}/other.json", "there is no .*other.json"),
    ):
        with pytest.raises(FolderError, match=said):
            chosen_tasks.chosen([f"panoptic:{place}"])
    (tmp_path / "told").rename(tmp_path / "moved")
    with pytest.raises(FolderError, match=r"there is no folder .*told', where the segments"):
        written.task()
