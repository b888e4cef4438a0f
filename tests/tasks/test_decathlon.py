"""The real decathlon's loader, on stand-in data in the official layout and on none."""

import shutil

import pytest
import tensorflow_datasets as tfds

from adapters.preprocessing import Preprocessing
from tasks import decathlon, loading, pipeline, records, registry
from tasks.decathlon import DataNotPreparedError
from tests.tasks.stand_in import every_split, write_stand_in

TASKS = registry.resolve(["decathlon"])


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("prepared")
    write_stand_in(path, examples_per_split=3)
    return str(path)


def test_class_counts_are_those_of_tfds():
    published = {
        config.name: config.num_classes
        for config in tfds.builder_cls("visual_domain_decathlon").BUILDER_CONFIGS
    }
    assert {task.name: len(task.labels) for task in TASKS} == {
        f"decathlon_{name}": classes for name, classes in published.items()
    }
    version = tfds.builder_cls("visual_domain_decathlon").BUILDER_CONFIGS[0].version
    assert {task.version for task in TASKS} == {str(version)}


def test_only_what_has_no_handedness_is_mirrored():
    still = {task.name for task in TASKS if not task.augmentation.flip}
    assert still == {"decathlon_gtsrb", "decathlon_omniglot", "decathlon_svhn"}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_domain_is_read(data_dir: str, task):
    for split in task.splits:
        opened = loading.open_split(task, split, data_dir)
        assert loading.task_size(task, split, data_dir) == 3
        assert opened[2]["name"] == f"{task.name.removeprefix('decathlon_')}/{split}/2.jpg"
        assert opened[2]["image"].shape == (72, 80, 3)
        labels = [example["label"] for example in opened]
        assert labels == ([-1] * 3 if split == "test" else [n % len(task.labels) for n in range(3)])
    assert task.hidden_test_labels


def test_prepared_data_are_told_by_their_files(data_dir: str, tmp_path):
    here = every_split(TASKS[0], data_dir)
    assert {split: held.images for split, held in here.items()} == dict.fromkeys(TASKS[0].splits, 3)
    moved = shutil.copytree(
        f"{data_dir}/visual_domain_decathlon", tmp_path / "visual_domain_decathlon"
    )
    assert every_split(TASKS[0], str(tmp_path)) == here
    (path,) = (moved / TASKS[0].name.removeprefix("decathlon_")).rglob("*-train.array_record*")
    path.write_bytes(path.read_bytes() + b"more")
    found = every_split(TASKS[0], str(tmp_path))
    assert [split for split in here if found[split] != here[split]] == ["train"]


def test_prepared_data_feed_the_same_pipeline(data_dir: str):
    settings = Preprocessing(32, (127.0,) * 3, (128.0,) * 3, fit="crop")
    batch = next(pipeline.training_iterator(TASKS[0], settings, 4, seed=0, data_dir=data_dir))
    assert batch["image"].shape == (4, 32, 32, 3)
    (batch,) = pipeline.evaluation_batches(TASKS[0], "test", settings, 4, data_dir=data_dir)
    assert batch.targets["label"][batch.mask].tolist() == [-1] * 3


def test_data_that_are_not_prepared_say_how_to_prepare_them(tmp_path, monkeypatch):
    (task,) = registry.resolve(["decathlon_vgg-flowers"])
    with pytest.raises(DataNotPreparedError) as raised:
        loading.open_split(task, "train", str(tmp_path))
    command = (
        "tfds build visual_domain_decathlon/vgg-flowers --file_format=array_record "
        f"--data_dir={tmp_path}"
    )
    assert command in str(raised.value)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(DataNotPreparedError, match="elsewhere"):
        loading.open_split(task, "train")


def test_prepared_data_are_only_read(data_dir: str, tmp_path):
    """A folder that may not be written will do; to a superuser nothing is forbidden, so look."""
    copied = shutil.copytree(data_dir, tmp_path / "data")
    for path in [copied, *copied.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in [copied, *copied.rglob("*")]}
    for split in TASKS[0].splits:
        assert len(list(loading.open_split(TASKS[0], split, str(copied)))) == 3
    after = {path: path.stat().st_mtime_ns for path in [copied, *copied.rglob("*")]}
    for path in [copied, *copied.rglob("*")]:
        path.chmod(0o755)
    assert after == before


@pytest.mark.parametrize("damage", ["missing", "cut", "garbled", "tfrecord"])
def test_damaged_data_are_said_in_words(data_dir: str, tmp_path, damage: str):
    (task,) = registry.resolve(["decathlon_dtd"])
    folder = tmp_path / "visual_domain_decathlon" / "dtd" / decathlon.VERSION
    shutil.copytree(data_dir + "/visual_domain_decathlon/dtd/" + decathlon.VERSION, folder)
    (path,) = folder.glob("*validation.array_record*")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"x" * len(content))
    if damage == "missing":
        path.unlink()
    if damage == "tfrecord":  # what TFDS prepares when not asked for array_record
        path.write_bytes(content)
        info = folder / "dataset_info.json"
        info.write_text(info.read_text().replace('"array_record"', '"tfrecord"'))
    with pytest.raises(records.DamagedDataError, match="prepare it"):
        list(loading.open_split(task, "validation", str(tmp_path)))
