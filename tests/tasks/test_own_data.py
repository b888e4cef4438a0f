"""Own data by name: folders with settings, metadata, prepared TFDS data, data sets of a hub."""

import dataclasses
import io
import json
import pickle
import sys
import types

import numpy as np
import pytest
from PIL import Image

from adapters import errors
from adapters.preprocessing import Preprocessing, normalise
from adapters.runtime.device import network_input
from tasks import hub, loading, pipeline, records, registry
from tasks.augmentation import Augmentation
from tasks.hub import DatasetsMissingError, HubError
from tasks.listing import FolderError
from tasks.parts import SplitsError
from tasks.task import TaskError
from tests.tasks.stand_in import every_split

KINDS = ("oak", "pine")


def pixels(number):
    generator = np.random.default_rng(number)
    return generator.integers(0, 256, (300, 340, 3), np.uint8)


def png(number):
    file = io.BytesIO()
    Image.fromarray(pixels(number)).save(file, "png", compress_level=1)
    return file.getvalue()


FILES = {f"{number:02d}.png": png(number) for number in range(12)}


def filled(root, split=""):
    for name, data in FILES.items():
        (root / split).mkdir(parents=True, exist_ok=True)
        (root / split / name).write_bytes(data)
    return root


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """A folder with a sub-folder a class, whose own name holds what spellings are made of."""
    root = tmp_path_factory.mktemp("own") / "trees, all=(seed=1)"
    for number, (name, data) in enumerate(FILES.items()):
        (root / KINDS[number % 2]).mkdir(parents=True, exist_ok=True)
        (root / KINDS[number % 2] / name).write_bytes(data)
    return root


def names(task):
    return {
        split: {example["name"].rpartition("/")[2] for example in loading.open_split(task, split)}
        for split in task.splits
    }


def test_a_folder_with_a_name_and_settings(trees):
    def of(seed, split="0.5/0.5/0"):
        text = f"wood=folder:{trees}(split={split}, seed={seed}, fit=pad, flip=true)"
        return registry.resolve_one(text)

    task = of(3)
    assert (task.name, task.fit, task.splits) == ("wood", "pad", ("train", "validation"))
    assert task.augmentation == Augmentation(flip=True)
    found = names(task)
    assert [len(own) for own in found.values()] == [6, 6]
    assert set.union(*found.values()) == set(FILES)
    assert names(registry.resolve_one(task.spelled)) == found
    assert any(names(of(seed)) != found for seed in range(4, 8))
    assert loading.contents(task, "train") != loading.contents(of(3, "0.6/0.4/0"), "train")
    sent = pickle.loads(pickle.dumps(task))
    assert names(sent) == found


def test_a_path_that_ends_like_settings_is_told_how_to_be_written(trees):
    with pytest.raises(FolderError, match=r"if that is meant, put \(\) after it"):
        registry.resolve_one(f"wood=folder:{trees}")
    assert registry.resolve_one(f"wood=folder:{trees}()").labels == KINDS


def test_a_path_alone_is_answered_with_its_spelling(trees, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "state.json").write_text("{}")
    (tmp_path / "data" / "1.0.0").mkdir(parents=True)
    (tmp_path / "data" / "1.0.0" / "features.json").write_text("{}")
    for given, spelled in {
        str(trees): f"folder:{trees}()",
        f"wood={trees}": f"wood=folder:{trees}()",
        str(tmp_path / "set"): "hf:",
        f"x={tmp_path / 'data'}": "x=tfds:",
    }.items():
        with pytest.raises(errors.UnknownNameError) as raised:
            registry.resolve([given])
        assert spelled in str(raised.value)
    with pytest.raises(
        errors.UnknownNameError,
        match="Own data are folder:, csv:, coco:, masks:, panoptic:, tfds:, hf:",
    ):
        registry.resolve(["directory:/somewhere"])


def test_a_name_that_is_taken_is_refused_and_another_can_be_given(trees):
    with pytest.raises(errors.DuplicateNameError, match=r"'digits'.* NAME=folder:PATH"):
        registry.resolve_one(f"digits=folder:{trees}()")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("column", ["label", "kind"])
def test_metadata_of_an_image_folder_say_the_labels(tmp_path, ending, column):
    filled(tmp_path)
    rows = [{"file_name": name, column: KINDS[int(name[:2]) % 2], "n": 1} for name in FILES][:11]
    lines = [json.dumps(row) for row in rows]
    if ending == "csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (tmp_path / f"metadata.{ending}").write_text("\n".join(lines) + "\n")
    if column == "kind":
        with pytest.raises(FolderError, match=r"of kind, n say which it is: .*\(label=kind\)"):
            registry.resolve_one(f"folder:{tmp_path}")
    task = registry.resolve_one(f"wood=folder:{tmp_path}(label={column})")
    with pytest.warns(UserWarning, match=r"11\.png is left out: no metadata names it"):
        found = names(task)
    assert set.union(*found.values()) == set(FILES) - {"11.png"}
    for split in task.splits:
        for example in loading.open_split(task, split):
            assert task.labels[example["label"]] == KINDS[int(example["name"][:2]) % 2]


def test_metadata_in_the_folders_of_splits_are_of_them(tmp_path):
    for split in ("train", "validation"):
        filled(tmp_path, split)
        rows = [f"{name},{int(name[:2]) % 2}" for name in list(FILES)[split == "train" :: 2]]
        rows += [] if split == "train" else ["01.png,1"]
        (tmp_path / split / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
        for name in set(FILES) - {row[:6] for row in rows}:
            (tmp_path / split / name).unlink()
    (tmp_path / "train" / "metadata.csv").write_text(
        "file_name,label\n" + "".join(f"{n:02d}.png,{n // 6}\n" for n in range(1, 12, 2))
    )
    task = registry.resolve_one(f"wood=folder:{tmp_path}")
    assert (task.splits, task.labels) == (("train", "validation"), ("0", "1"))
    with pytest.raises(FolderError, match="brings the splits train, validation: leave"):
        registry.resolve_one(f"wood=folder:{tmp_path}(seed=1)")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"file_name": "00.png", "label": [1]}', r"line 1 has the label \[1\]; an image has one"),
        ("[]", "line 1 is no object"),
        ("{", "cannot be read"),
        ('{"file_name": "00.png", "label": null}', "line 1: 00.png has no label"),
    ],
)
def test_metadata_that_cannot_be_read_are_refused(tmp_path, lines, said):
    (tmp_path / "metadata.jsonl").write_text(lines)
    with pytest.raises(FolderError, match=said):
        registry.resolve_one(f"folder:{tmp_path}")


def prepared(data_dir, splits, named=True):
    """A data set as TFDS prepares it, of these splits, two classes and larger pictures."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import dataset_info

    folder = data_dir / "trees" / "2.1.0"
    folder.mkdir(parents=True)
    features = {
        "picture": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
        "species": tfds.features.ClassLabel(names=KINDS),
        **({"file_name": tfds.features.Text()} if named else {}),
    }
    identity = dataset_info.DatasetIdentity(
        name="trees",
        version=tfds.core.Version("2.1.0"),
        data_dir=str(folder),
        module_name="tests",
    )
    writer = tfds.core.SequentialWriter(
        ds_info=tfds.core.DatasetInfo(
            builder=identity, features=tfds.features.FeaturesDict(features)
        ),
        max_examples_per_shard=100,
        file_format="array_record",
    )
    writer.initialize_splits(list(splits))
    for split, count in splits.items():
        rows = []
        for name in list(FILES)[:count]:
            row = {"picture": io.BytesIO(FILES[name]), "species": int(name[:2]) % 2}
            rows.append({**row, **({"file_name": name} if named else {})})
        writer.add_examples({split: rows})
    writer.close_all()
    return data_dir


def test_prepared_data_are_a_task_by_their_name(tmp_path, monkeypatch):
    prepared(tmp_path, {"train": 12, "test": 3})
    task = registry.resolve_one("tfds:trees", str(tmp_path))
    assert (task.name, task.version, task.labels) == ("trees", "2.1.0", KINDS)
    found = names(task)
    assert [len(found[split]) for split in ("train", "validation", "test")] == [10, 2, 3]
    assert found["train"] | found["validation"] == set(FILES)
    how = Preprocessing(224, (127.5,) * 3, (127.5,) * 3, task.fit)
    for split in task.splits:
        (batch,) = pipeline.evaluation_batches(task, split, how, 12)
        for row, name in enumerate(filter(None, batch.names)):
            assert batch.targets["label"][row] == int(name[:2]) % 2
            seen = normalise(batch.inputs["image"][row], how)
            np.testing.assert_array_equal(seen, network_input(FILES[name], how))
    assert len(set(every_split(task).values())) == 3
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert names(registry.resolve_one("tfds:trees")) == found
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert names(registry.resolve_one(task.spelled)) == found
    other = registry.resolve_one(f"mine=tfds:{tmp_path}/trees(split=0.5/0.5/0, seed=1)")
    assert [len(own) for own in names(other).values()] == [6, 6, 3]
    assert loading.contents(other, "train") != loading.contents(task, "train")
    with pytest.raises(TaskError, match=r"no feature 'species' that is Image.*picture"):
        registry.resolve_one("tfds:trees(image=species)", str(tmp_path))


def test_a_single_split_is_cut_and_examples_without_names_get_some(tmp_path):
    prepared(tmp_path, {"full": 12}, named=False)
    found = names(registry.resolve_one("tfds:trees", str(tmp_path)))
    assert [len(own) for own in found.values()] == [8, 2, 2]
    assert len(set.union(*found.values())) == 12


def test_splits_that_cannot_be_a_task_s_are_refused(tmp_path):
    prepared(tmp_path, {"some": 3, "rest": 3})
    with pytest.raises(SplitsError, match="has the splits some, rest; one called train"):
        registry.resolve_one("tfds:trees", str(tmp_path))
    with pytest.raises(records.DataNotPreparedError, match="tfds build shrubs --file_format"):
        registry.resolve_one("tfds:shrubs", str(tmp_path))


class ClassLabel:
    names = KINDS


class Value:
    pass


@dataclasses.dataclass
class DatasetsImage:
    decode: bool = True


DatasetsImage.__name__ = "Image"


class Split:
    """What the package `datasets` gives, as far as it is used."""

    def __init__(self, files, label, decode=True):
        self._files, self._decode, self._label = list(files), decode, label
        self.features = {"picture": DatasetsImage(decode), "label": label, "note": Value()}

    def __len__(self):
        return len(self._files)

    def __getitem__(self, index):
        name = self._files[index]
        label = int(name[:2]) % 2
        kind = label if isinstance(self._label, ClassLabel) else KINDS[label]
        if self._decode:
            raise AssertionError("pictures are decoded as everywhere else")
        return {"picture": {"bytes": FILES[name], "path": name}, "label": kind, "note": ""}

    def cast_column(self, column, kind):
        assert (column, kind) == ("picture", DatasetsImage(decode=False))
        return Split(self._files, self._label, decode=False)

    def unique(self, column):
        return list(KINDS) if column == "label" else []


@pytest.fixture
def datasets(monkeypatch):
    """A stand-in for the package: a hub of one name, and folders."""
    calls = []

    def load_dataset(name, revision=None):
        calls.append((name, revision))
        if name != "someone/trees":
            raise ConnectionError("no such data set, or no network")
        return {"train": Split(FILES, ClassLabel()), "test": Split(list(FILES)[:3], ClassLabel())}

    def load_from_disk(path):
        calls.append((path, None))
        return Split(FILES, Value())

    module = types.SimpleNamespace(
        load_dataset=load_dataset, load_from_disk=load_from_disk, Image=DatasetsImage
    )
    monkeypatch.setitem(sys.modules, "datasets", module)
    hub.loaded.cache_clear()
    yield calls
    hub.loaded.cache_clear()


def test_a_data_set_of_the_hub_is_a_task_by_its_name(datasets):
    task = registry.resolve_one("hf:someone/trees@v2")
    assert datasets == [("someone/trees", "v2")]
    assert (task.name, task.labels) == ("trees", KINDS)
    how = Preprocessing(224, (127.5,) * 3, (127.5,) * 3, task.fit)
    counts = []
    for split in task.splits:
        (batch,) = pipeline.evaluation_batches(task, split, how, 12)
        counts.append(batch.mask.sum())
        for row, name in enumerate(filter(None, batch.names)):
            assert batch.targets["label"][row] == int(name.rpartition("/")[2][:2]) % 2
            seen = normalise(batch.inputs["image"][row], how)
            wanted = network_input(FILES[name.rpartition("/")[2]], how)
            np.testing.assert_array_equal(seen, wanted)
    assert counts == [10, 2, 3]
    assert len(set(every_split(task).values())) == 3


def test_a_saved_data_set_is_a_task_with_labels_of_text(datasets, tmp_path):
    task = registry.resolve_one(f"wood=hf:{tmp_path}")
    assert datasets == [(str(tmp_path), None)]
    assert (task.name, task.labels) == ("wood", KINDS)
    assert {example["label"] for example in loading.open_split(task, "train")} == {0, 1}


def test_what_cannot_be_had_is_said_in_words(datasets, monkeypatch):
    with pytest.raises(HubError, match=r"hf:nobody/none cannot be loaded .*no network"):
        registry.resolve_one("hf:nobody/none")
    with pytest.raises(TaskError, match="no column 'note' that holds an image's image"):
        registry.resolve_one("hf:someone/trees(image=note)")
    hub.loaded.cache_clear()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DatasetsMissingError, match=r"pip install '\.\[hub\]'"):
        registry.resolve_one("hf:someone/trees")
