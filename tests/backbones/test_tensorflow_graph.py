"""A graph that TensorFlow 2.21 froze (`tests/golden/make_foreign_files.py`), read without it."""

import pathlib

import numpy as np
import pytest

from adapters.backbones.convert import load_checkpoint
from adapters.backbones.formats import read_tensors
from adapters.backbones.registry import table
from adapters.backbones.tensorflow.error import TensorFlowFileError
from adapters.backbones.tensorflow.graph import read_graph
from tests import golden
from tests.backbones import published
from tests.backbones.tensorflow_table import constant, graph
from tests.golden import closed_formula
from tests.golden.make_foreign_files import TENSORFLOW_SHAPES

FOLDER = pathlib.Path(golden.__file__).parent
FROZEN = (FOLDER / "tensorflow_frozen.pb").read_bytes()
DOUBLE, BFLOAT16, HALF = 2, 14, 19


def test_tensors_are_those_that_were_frozen():
    found = read_tensors(FROZEN)
    assert list(found) == list(TENSORFLOW_SHAPES)
    for name, shape in TENSORFLOW_SHAPES.items():
        expected = closed_formula.tensor(name, shape)
        np.testing.assert_array_equal(found[name], expected, strict=True)


def test_a_graph_is_loaded_by_its_content(tmp_path):
    tensors = published.tensors("TF-slim", "mobilenet_v1_0.25")
    constants = [(n, constant(a.shape, content=a.tobytes())) for n, a in tensors.items()]
    (tmp_path / "named_anyhow").write_bytes(graph(*constants))
    checkpoint = load_checkpoint(tmp_path / "named_anyhow", table("mobilenet_v1_0.25"))
    expected = tensors["MobilenetV1/Conv2d_0/weights"]
    np.testing.assert_array_equal(checkpoint.weights["stem"]["w"], expected)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (constant([3], float_val=[1.5]), np.float32([1.5, 1.5, 1.5])),
        (constant([3], float_val=[1.5, 2]), np.float32([1.5, 2, 2])),
        (constant([3]), np.float32([0, 0, 0])),
        (constant([], float_val=[2]), np.float32(2)),
        (constant([0, 3]), np.zeros((0, 3), np.float32)),
        (constant([2], DOUBLE, double_val=[1.5]), np.float64([1.5, 1.5])),
        (constant([2], HALF, half_val=[0x3E00, 0xC000]), np.float16([1.5, -2])),
        (constant([2], BFLOAT16, half_val=[0x3FC0, 0xC000]), np.float32([1.5, -2])),
        (constant([2], BFLOAT16, content=b"\xc0\x3f\x00\xc0"), np.float32([1.5, -2])),
    ],
)
def test_values_that_are_listed_or_repeated(tensor, expected):
    np.testing.assert_array_equal(read_graph(graph(("w", tensor)))["w"], expected, strict=True)


@pytest.mark.parametrize(
    ("constants", "expected"),
    [
        ([("w", constant([2], content=bytes(7)))], r"w has shape \[2\], but 7 bytes"),
        ([("w", constant([3], content=bytes(8)))], r"w has shape \[3\], but 8 bytes"),
        ([("w", constant([1], float_val=[1, 2]))], "has 2 values, but should have 1"),
        ([("w", constant([-1], float_val=[1]))], "no definite shape"),
        ([("w", constant([1 << 20, 1 << 20], float_val=[1]))], "refused: too large"),
        ([("w", constant([0, 1 << 62, 1 << 62]))], "refused: too large"),
        ([("w", constant([1] * 65, float_val=[1]))], "no definite shape"),
        ([("w", constant([1], float_val=[1]))] * 2, "the constant w is there twice"),
        ([("w", constant([1], dtype=7))], "no constants that were variables"),
    ],
)
def test_constants_that_make_no_sense(constants, expected):
    with pytest.raises(TensorFlowFileError, match=expected):
        read_graph(graph(*constants))


def test_constants_that_nothing_reads_are_no_variables():
    with pytest.raises(TensorFlowFileError, match="no constants that were variables"):
        read_graph(FROZEN.replace(b"/read", b"/reap"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ((FOLDER / "tensorflow_first_format").read_bytes(), "TensorFlow's first format"),
        ((FOLDER / "tensorflow_shards.index").read_bytes(), "an index under another name"),
        (b"\x08\x01\x12\x80\x01", r"SavedModel: give its variables/variables\.index"),
        (b"\n", "damaged or cut short"),
    ],
)
def test_other_files_are_refused(data, expected):
    with pytest.raises(TensorFlowFileError, match=expected):
        read_tensors(data)


def test_a_graph_cut_short_is_refused_or_lacks_tensors():
    for length in range(len(FROZEN)):
        try:
            found = read_graph(FROZEN[:length])
        except TensorFlowFileError:
            continue
        assert len(found) < len(TENSORFLOW_SHAPES) or length > FROZEN.rindex(b"/read")


def test_damage_never_escapes_as_another_error():
    data, refused = bytearray(FROZEN), 0
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        try:
            read_graph(bytes(data))
        except TensorFlowFileError:
            refused += 1
        data[bit // 8] ^= 1 << bit % 8
    assert refused > len(data)
