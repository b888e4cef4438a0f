"""Every encoding: what it rounds to, how it is spelled, and every way a file may misspell it."""

import dataclasses
import itertools
import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adapters.store import container, errors
from adapters.store.edits import apply_edits
from adapters.store.encoding import ENCODINGS, decode, encode, rounded
from adapters.store.read import read_patch
from adapters.store.write import encode_patch, patch_size, write_patch
from tests.store import every_kind

every_encoding = pytest.mark.parametrize("encoding", ENCODINGS)
NAME = "edit/replace/stem/w"
_NUMBERS = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=0, max_dims=3, max_side=4),
    elements=st.floats(-(2.0**126), 2.0**126, width=32) | st.floats(-2, 2, width=32),
)


def same(left, right):
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert (array.dtype, array.shape) == (right[name].dtype, right[name].shape)
        assert array.tobytes() == right[name].tobytes(), name


@settings(deadline=None, database=None, max_examples=300)
@given(_NUMBERS)
def test_int8_is_as_close_as_its_scale_and_reads_back_to_itself(array):
    stored = encode({NAME: array}, "int8")
    seen = decode(stored)
    same(encode(seen, "int8"), stored)
    whole, scale = stored[NAME], stored[f"scale/{NAME}"]
    assert np.abs(whole.astype(int)).max() <= 127
    error = np.abs(seen[NAME].astype(np.float64) - array)
    assert (error <= 0.5 * scale.astype(np.float64) * (1 + 1e-7)).all() or not whole.any()
    # The scale is as small as 16 bits let it be.
    most = np.abs(array.astype(np.float64)).max(axis=tuple(range(max(array.ndim - 1, 0))))
    if array.ndim < 2:
        most = np.abs(array.astype(np.float64)).max().reshape(1)
    normal = most > 127 * 2.0**-126
    assert (scale[normal] <= most[normal] / 127 * (1 + 2.0**-14)).all()


@settings(deadline=None, database=None, max_examples=300)
@given(_NUMBERS)
def test_float16_is_refused_or_reads_back_to_itself(array):
    # Halfway between the largest, 65504, and the next power of two it rounds up to infinity.
    if np.abs(array).max() >= 65520:
        with pytest.raises(errors.EncodingError, match="edit/replace/stem/w holds"):
            encode({NAME: array}, "float16")
        return
    stored = encode({NAME: array}, "float16")
    seen = decode(stored)
    same(encode(seen, "float16"), stored)
    np.testing.assert_allclose(seen[NAME], array, rtol=2.0**-11, atol=2.0**-25)


def test_int8_of_channels_of_zeros_and_of_specks():
    array = np.float32([[0, 1e-45, 254, 1e-38], [0, 0, -127, 0]])
    stored = encode({NAME: array}, "int8")
    np.testing.assert_array_equal(stored[NAME], [[0, 0, 127, 1], [0, 0, -64, 0]])
    np.testing.assert_array_equal(stored[f"scale/{NAME}"], np.float32([1, 1, 2, 2**-126]))


def test_int8_that_its_scale_cannot_reach():
    with pytest.raises(errors.EncodingError, match=r"3\.40282e\+38.*float32"):
        encode({NAME: np.full((1,), np.finfo(np.float32).max)}, "int8")


@every_encoding
def test_bits_statistics_and_coefficients_are_never_rounded(encoding):
    given_edits = every_kind.edits()
    seen, _ = rounded(given_edits, {"w": np.ones((1, 1), np.float32)}, encoding)
    for kind, module, name in [
        ("mask", "stem", "w"),
        ("affine_mask", "stem", "w.mask"),
        ("affine_mask", "stem", "w.coefficients"),
        ("replace", "stem/norm", "mean"),
        ("add", "tail/norm", "mean"),
    ]:
        np.testing.assert_array_equal(seen[kind][module][name], given_edits[kind][module][name])


@every_encoding
def test_every_kind_reads_back(contents, path, encoding):
    contents = every_kind.encoded(contents, encoding)
    write_patch(path, contents)
    again = read_patch(path, shapes=every_kind.SHAPES, features=3)
    assert again.encoding == encoding
    for kind, modules in contents.edits.items():
        for module, named in modules.items():
            same(again.edits[kind][module], named)
    same(dict(again.head), dict(contents.head))
    assert not again.head["w"].flags.writeable
    assert encode_patch(again) == path.read_bytes()
    for module, leaves in apply_edits(every_kind.weights(), contents.edits).items():
        same(apply_edits(every_kind.weights(), again.edits)[module], leaves)


@pytest.mark.parametrize(
    ("encoding", "head", "statistics", "edits"),
    [
        # Numbers: head 6 and 2; statistics 5 and 3; edits 6 + 5 + 15 + (6 + 10) + 15 = 57. Bits: 2
        # and 4 bytes, and 2 with 4 coefficients; a mixture has 2 more.
        ("float32", 4 * 8, 4 * 8, 4 * 57 + 8 + 24),
        ("float16", 2 * 8, 4 * 8, 2 * 57 + 8 + 24),
        # Scales: head 2 and 1; edits 2, 1, 5, 2 and 5, 5.
        ("int8", 8 + 4 * 3, 4 * 8, 57 + 4 * 20 + 8 + 24),
    ],
)
def test_sizes(contents, path, encoding, head, statistics, edits):
    contents = every_kind.encoded(contents, encoding)
    write_patch(path, contents)
    size = patch_size(contents)
    assert (size.head, size.statistics, size.edits) == (head, statistics, edits)
    assert size.total == path.stat().st_size


@every_encoding
def test_plain_safetensors_reads_what_is_stored(contents, encoding):
    contents = every_kind.encoded(contents, encoding)
    loaded = safetensors.numpy.load(encode_patch(contents))
    dtypes = {"float32": np.float32, "float16": np.float16, "int8": np.int8}
    assert loaded["edit/mask/tail/w"].dtype == np.uint8
    assert loaded["edit/replace/stem/norm/mean"].dtype == np.float32
    assert loaded["head/w"].dtype == dtypes[encoding]
    scale = loaded.get("scale/head/w", np.float32(1))
    np.testing.assert_array_equal(loaded["head/w"] * scale, contents.head["w"])


def test_numbers_that_would_be_rounded_are_not_written(contents):
    odd = dataclasses.replace(
        contents, encoding="float16", head={**contents.head, "b": np.float32([0.1, 0])}
    )
    with pytest.raises(errors.SchemaError, match=r"head/b .*float16 rounds"):
        encode_patch(odd)


def test_unknown_encoding(contents):
    with pytest.raises(errors.SchemaError, match="'int4' is none of float32"):
        dataclasses.replace(contents, encoding="int4")


def parsed(data):
    """Card, `{name: (dtype, shape, bytes)}`."""
    (length,) = struct.unpack("<Q", data[:8])
    entries = json.loads(data[8 : 8 + length])
    card = json.loads(entries.pop("__metadata__")["modelpatch"])
    body = data[8 + length :]
    return card, {
        name: (e["dtype"], tuple(e["shape"]), body[slice(*e["data_offsets"])])
        for name, e in entries.items()
    }


def spelled(card, tensors):
    """The file for these, its digest right."""
    layout = {name: container.Storage(dtype, shape) for name, (dtype, shape, _) in tensors.items()}
    data = b"".join(content for _, (_, _, content) in sorted(tensors.items()))
    card = card | {"sha256": container.digest(card, layout, data)}
    return container.encode_header(card, layout) + data


def floats(*numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


@pytest.mark.parametrize(
    ("encoding", "name", "tensor", "error", "match"),
    [
        ("int8", "scale/head/b", None, errors.SchemaError, "scale/head/b is missing"),
        (
            *("float32", "scale/head/b", ("F32", (1,), floats(1))),
            *(errors.SchemaError, "scale of no tensor"),
        ),
        (
            *("int8", "scale/scale/head/b", ("F32", (1,), floats(1))),
            *(errors.SchemaError, "scale of no tensor"),
        ),
        (
            *("int8", "scale/head/w", ("F32", (1,), floats(1))),
            *(errors.SchemaError, r"F32 \[1\], in int8 it is F32 \[2\]"),
        ),
        (
            *("int8", "head/b", ("F32", (2,), floats(1, 2))),
            *(errors.SchemaError, r"F32 \[2\], in int8 it is I8"),
        ),
        (
            *("float32", "head/b", ("F16", (2,), bytes(4))),
            *(errors.SchemaError, "F16.* it is F32"),
        ),
        (
            *("float16", "edit/replace/stem/norm/mean", ("F16", (5,), bytes(10))),
            *(errors.SchemaError, r"mean is F16 \[5\], in float16 it is F32"),
        ),
        (
            *("float32", "edit/mask/stem/w", ("F32", (2,), bytes(8))),
            *(errors.SchemaError, r"mask/stem/w is F32 \[2\], in float32 it is U8"),
        ),
        ("float32", "edit/add/stem/w", ("U8", (15,), bytes(15)), errors.SchemaError, "it is F32"),
        (
            *("int8", "scale/head/b", ("F32", (1,), floats(0))),
            *(errors.SchemaError, "not above zero"),
        ),
        (
            *("int8", "scale/head/b", ("F32", (1,), floats(-1))),
            *(errors.SchemaError, "not above zero"),
        ),
        (
            *("int8", "scale/head/b", ("F32", (1,), floats(float("inf")))),
            *(errors.SchemaError, "not above zero"),
        ),
        (
            *("int8", "scale/head/b", ("F32", (1,), floats(float("nan")))),
            *(errors.SchemaError, "not above zero"),
        ),
        (
            *("int8", "scale/head/b", ("F32", (1,), floats(3e38))),
            *(errors.NotFiniteError, "head/b"),
        ),
        # 17 significant bits.
        (
            *("int8", "scale/head/b", ("F32", (1,), floats(1 + 2**-16))),
            *(errors.SchemaError, "int8 spells otherwise"),
        ),
        (
            *("int8", "head/b", ("I8", (2,), b"\x01\x02")),
            *(errors.SchemaError, "int8 spells otherwise"),
        ),
        (
            *("int8", "head/b", ("I8", (2,), b"\x80\x02")),
            *(errors.SchemaError, "int8 spells otherwise"),
        ),
        (
            *("float16", "head/b", ("F16", (2,), struct.pack("<2e", float("nan"), 0))),
            *(errors.NotFiniteError, "head/b"),
        ),
        ("float16", "head/b", ("BF16", (2,), bytes(4)), errors.HeaderError, "'BF16', none of"),
        (
            *("float32", "edit/mask/stem/w", ("U8", (2,), b"\xff\xff")),
            *(errors.SchemaError, "beyond the leaf's 15"),
        ),
        ("float32", "edit/low_rank/stem/w.up", None, errors.SchemaError, r"lacks its part w\.up"),
    ],
)
def test_misspelled_tensors(contents, path, monkeypatch, encoding, name, tensor, error, match):
    card, tensors = parsed(encode_patch(every_kind.encoded(contents, encoding)))
    tensors = {n: t for n, t in (tensors | {name: tensor}).items() if t is not None}
    with monkeypatch.context() as patch:
        patch.setitem(container.DTYPES, "BF16", "<i2")
        content = spelled(card, tensors)
    path.write_bytes(content)
    with pytest.raises(error, match=match) as refusal:
        read_patch(path, shapes=every_kind.SHAPES, features=3)
    assert type(refusal.value) is error


@pytest.mark.parametrize(("actual", "claimed"), list(itertools.permutations(ENCODINGS, 2)))
def test_another_encoding_than_the_card_says(contents, path, actual, claimed):
    card, tensors = parsed(encode_patch(every_kind.encoded(contents, actual)))
    path.write_bytes(spelled(card | {"encoding": claimed}, tensors))
    with pytest.raises(errors.SchemaError, match="must_understand does not list"):
        read_patch(path)
    other, _ = parsed(encode_patch(every_kind.encoded(contents, claimed)))
    path.write_bytes(spelled(other, tensors))
    with pytest.raises(errors.SchemaError, match=f"in {claimed}|scale of no tensor|is missing"):
        read_patch(path)


def test_encoding_of_a_later_version(contents, path):
    card, tensors = parsed(encode_patch(every_kind.encoded(contents, "float32")))
    needed = sorted([*card["must_understand"], "encoding/int4"])
    path.write_bytes(spelled(card | {"must_understand": needed, "encoding": "int4"}, tensors))
    with pytest.raises(errors.UnsupportedFeatureError, match="'encoding/int4'"):
        read_patch(path)
