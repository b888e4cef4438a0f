"""Checkpoints that TensorFlow 2.21 wrote (tests/golden/make_foreign_files.py), read without it."""

import pathlib
import shutil

import numpy as np
import pytest

from adapters.backbones.convert import load_checkpoint
from adapters.backbones.registry import table
from adapters.backbones.tensorflow import bundle
from adapters.backbones.tensorflow.bundle import read_bundle
from adapters.backbones.tensorflow.error import TensorFlowFileError
from adapters.backbones.tensorflow.table import read_table
from adapters.backbones.tensorflow.variables import variables
from tests import golden
from tests.backbones import published, tensorflow_table
from tests.golden import closed_formula
from tests.golden.make_foreign_files import TENSORFLOW_SHAPES

FOLDER = pathlib.Path(golden.__file__).parent
BRAIN = (np.array([0x3FC0, 0xC000, 0x6182], np.uint32) << 16).view(np.float32)  # 1.5, -2, near 3e20
PARTS = {
    "shards": (".index", ".data-00000-of-00002", ".data-00001-of-00002"),
    "training": (".index", ".data-00000-of-00001"),
}
VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def copy(name: str, to: pathlib.Path) -> pathlib.Path:
    for part in PARTS[name]:
        shutil.copy(FOLDER / f"tensorflow_{name}{part}", to / f"ours{part}")
    return to / "ours"


def arrays(prefix: pathlib.Path) -> dict[str, np.ndarray]:
    """Every tensor, read; of averages and variables the averages."""
    found = read_bundle(prefix)
    return {name: np.asarray(tensor) for name, tensor in found.get("averages", found).items()}


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return found.keys() == expected.keys() and all(
        array.dtype == expected[name].dtype and np.array_equal(array, expected[name])
        for name, array in found.items()
    )


@pytest.mark.parametrize(
    ("name", "suffix"), [("shards", ""), ("training", "/ExponentialMovingAverage")]
)
def test_tensors_are_those_that_were_saved_or_their_averages(name, suffix):
    expected = {
        name: closed_formula.tensor(name + suffix, shape)
        for name, shape in TENSORFLOW_SHAPES.items()
    }
    assert same(arrays(FOLDER / f"tensorflow_{name}"), {**expected, "brain": BRAIN})


def test_what_is_left_aside_is_told(caplog):
    caplog.set_level("INFO")
    read_bundle(FOLDER / "tensorflow_training")
    assert "left aside: 7 counters and optimiser's slots" in caplog.text


def test_a_layer_called_like_a_slot_is_a_layer():
    network = {"a/Adam": "a/Adam", "b": "b"}
    assert variables(["a/Adam", "b", "b/Adam"]) == {"variables": network}


def test_averages_may_be_kept_alone():
    average = "a/ExponentialMovingAverage"
    assert variables([average]) == {"averages": {"a": average}, "variables": {}}
    assert variables([average, "a"]) == {"averages": {"a": average}, "variables": {"a": "a"}}


@pytest.mark.parametrize("ending", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_a_checkpoint_is_loaded_by_its_name_or_any_of_its_files(ending, tmp_path):
    tensors = published.tensors("TF-slim", "mobilenet_v1_0.25", 1001)
    tensorflow_table.write_bundle(tmp_path / "model.ckpt-7", tensors)
    rows = table("mobilenet_v1_0.25")
    checkpoint = load_checkpoint(tmp_path / f"model.ckpt-7{ending}", rows)
    assert checkpoint.source == "model.ckpt-7"
    assert checkpoint.label_offset == 1
    depthwise = tensors["MobilenetV1/Conv2d_2_depthwise/depthwise_weights"]
    found = checkpoint.weights["block_02/depthwise"]["w"]
    np.testing.assert_array_equal(found.ravel(), depthwise.ravel())
    background_apart = tensors["MobilenetV1/Logits/Conv2d_1c_1x1/biases"][1:]
    np.testing.assert_array_equal(checkpoint.head["b"], background_apart)


def test_what_has_no_index_is_not_there(tmp_path):
    for name in ("model.ckpt", "model.ckpt.index", "model.ckpt.data-00000-of-00001"):
        with pytest.raises(FileNotFoundError):
            load_checkpoint(tmp_path / name, table("mobilenet_v1_0.25"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sliced", "parts was saved in slices, by a partitioner"),
        ("objects", r"written by tf\.train\.Checkpoint"),
    ],
)
def test_other_ways_to_save_are_refused(name, expected):
    with pytest.raises(TensorFlowFileError, match=expected):
        read_bundle(FOLDER / f"tensorflow_{name}")


@pytest.mark.parametrize(("name", "part"), [(name, part) for name in PARTS for part in PARTS[name]])
def test_files_cut_short_or_missing_are_refused(name, part, tmp_path):
    prefix = copy(name, tmp_path)
    path = pathlib.Path(f"{prefix}{part}")
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(TensorFlowFileError):
            read_bundle(prefix)
    path.unlink()
    with pytest.raises((TensorFlowFileError, FileNotFoundError), match=path.name):
        read_bundle(prefix)


@pytest.mark.parametrize(
    ("name", "part", "seen"),
    [
        ("shards", ".index", 0.8),  # not in the footer's unused bytes, nor the empty block
        ("shards", ".data-00000-of-00002", 1),
        ("shards", ".data-00001-of-00002", 1),
        ("training", ".index", 0.8),
        ("training", ".data-00000-of-00001", 122 / 350),  # the averages' bytes, and `brain`'s
    ],
)
def test_flipped_bits_are_seen_or_harmless(name, part, seen, tmp_path):
    prefix = copy(name, tmp_path)
    expected = arrays(prefix)
    path = pathlib.Path(f"{prefix}{part}")
    data, refused = bytearray(path.read_bytes()), 0
    for place in range(len(data)):
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        try:
            assert same(arrays(prefix), expected), place
        except TensorFlowFileError:
            refused += 1
        data[place] ^= 1 << place % 8
    assert seen <= refused / len(data) <= (1 if part == ".index" else seen)


def bundle_of(folder: pathlib.Path, entries: dict[bytes, bytes], **settings: int) -> pathlib.Path:
    (folder / "a.index").write_bytes(tensorflow_table.index(entries, **settings))
    (folder / "a.data-00000-of-00001").write_bytes(VALUES.tobytes())
    return folder / "a"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dtype": 7}, "elements of TensorFlow's type 7"),
        ({"dtype": 99}, "elements of TensorFlow's type 99"),
        ({"shard_id": 1}, "lies in data file 1, but there are 1"),
        ({"shard_id": -1}, "lies in data file -1"),
        ({"offset": 4}, "reaches past the end"),
        ({"offset": -4}, "reaches past the end"),
        ({"size": -1}, "reaches past the end"),
        ({"size": 20}, r"has shape \[2, 3\] but 20 bytes"),
        ({"crc32c": 5}, "has not its checksum"),
    ],
)
def test_entries_that_make_no_sense(changes, expected, tmp_path):
    made = tensorflow_table.entry(VALUES, **changes).SerializeToString()
    prefix = bundle_of(tmp_path, {b"": tensorflow_table.header(), b"w": made})
    with pytest.raises(TensorFlowFileError, match=expected):
        np.asarray(read_bundle(prefix)["w"])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"endianness": 1}, "big-endian"),
        ({"num_shards": 1 << 30}, "is missing"),
        ({"num_shards": -1}, "there are 0"),
    ],
)
def test_headers_that_make_no_sense(header, expected, tmp_path):
    made = tensorflow_table.entry(VALUES).SerializeToString()
    prefix = bundle_of(tmp_path, {b"": tensorflow_table.header(**header), b"w": made})
    with pytest.raises(TensorFlowFileError, match=expected):
        read_bundle(prefix)


def test_memory_is_bounded_by_the_files(tmp_path, monkeypatch):
    made = tensorflow_table.entry(VALUES).SerializeToString()
    prefix = bundle_of(tmp_path, {b"": tensorflow_table.header(), b"a": made, b"b": made})
    with pytest.raises(TensorFlowFileError, match="on top of each other"):
        read_bundle(prefix)
    monkeypatch.setattr(bundle, "INDEX_LIMIT", 10)
    with pytest.raises(TensorFlowFileError, match="more than 10 bytes"):
        read_bundle(prefix)


def test_shapes_that_no_array_has(tmp_path):
    unknown, long, large = (tensorflow_table.entry(VALUES) for _ in range(3))
    unknown.shape.unknown_rank = True
    for _ in range(65):
        long.shape.dim.add(size=1)
    for size in (0, 1 << 62):
        large.shape.dim.add(size=size)
    for made in (unknown, long, large):
        entries = {b"": tensorflow_table.header(), b"w": made.SerializeToString()}
        with pytest.raises(TensorFlowFileError, match=r"no definite shape|too large"):
            read_bundle(bundle_of(tmp_path, entries))


def test_messages_that_are_none(tmp_path):
    entries = {b"": tensorflow_table.header(), b"w": b"\xff"}
    with pytest.raises(TensorFlowFileError, match="the entry of w is damaged"):
        read_bundle(bundle_of(tmp_path, entries))


def test_a_compressed_index_is_refused():
    with pytest.raises(TensorFlowFileError, match="the index is compressed"):
        read_table(tensorflow_table.index({b"a": b"b"}, compression=1))


def test_tables_of_many_blocks_and_large_numbers():
    entries = {f"{n:03d}".encode() * 50: bytes(n) for n in range(300)}
    assert read_table(tensorflow_table.index(entries)) == entries


def test_an_empty_tensor_and_one_number(tmp_path):
    tensors = {"empty": np.zeros((0, 3), np.float32), "number": np.full((), 2, np.float32)}
    tensorflow_table.write_bundle(tmp_path / "a", tensors)
    assert same(arrays(tmp_path / "a"), tensors)
