"""Files made to harm: known weaknesses of safetensors readers, and headers that fill the memory."""

import copy
import json
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.store import encoding, errors
from adapters.store.contents import Parity, PatchContents
from adapters.store.read import decode_patch, read_patch
from adapters.store.write import encode_patch
from tests.store import make_patches

CARD, TENSORS = make_patches.CARD, make_patches.TENSORS
METADATA = {
    "__metadata__": {"modelpatch": make_patches.spell(CARD | {"sha256": "0" * 64}).decode()}
}
MIB = 2**20


def file(entries, data=b"\0" * 56):
    """A patch file with these entries of tensors in its header."""
    return make_patches.wrap(make_patches.spell(METADATA | entries)) + data


def with_entry(**fields):
    """The good file, but for fields of the last entry: `head/w`, F32 [3, 2] at [32, 56]."""
    (length,) = struct.unpack("<Q", GOOD[:8])
    entries = json.loads(GOOD[8 : 8 + length])
    entries["head/w"] |= fields
    return make_patches.wrap(make_patches.spell(entries)) + GOOD[8 + length :]


GOOD = make_patches.assemble(CARD, TENSORS)


@pytest.mark.parametrize("length", [MIB + 8, 2**31, 2**32 + 8, 2**63, 2**64 - 8])
def test_an_unbounded_header(path, length):
    """Of a file that is as large as it says, where the disk can pretend that."""
    path.write_bytes(struct.pack("<Q", length) + b'{"a":')
    os.truncate(path, 8 + min(length, 2**40))
    assert peak(path, size_cap=2**63) < 2**16
    with pytest.raises(errors.TooLargeError, match="the header has"):
        read_patch(path, size_cap=2**63)


@pytest.mark.parametrize(
    ("shape", "offsets"),
    [
        # Products that are 0 or 24 once they wrap at 32 or 64 bits.
        ([2**32, 2**32], [32, 32]),
        ([2**16, 2**16], [32, 32]),
        ([2**62, 4], [32, 32]),
        ([2**52 + 3, 2**12], [32, 32]),
        ([3, 2 + 2**53 - 2**53 % 3], [32, 56]),
        # Offsets that wrap, run backwards, or leave the file.
        ([3, 2], [32, 2**53 - 1]),
        ([3, 2], [32, 32 + 24 + 2**32]),
        ([3, 2], [-24, 0]),
        ([3, 2], [56, 32]),
        ([2**40, 2], [32, 32 + 2**43]),
    ],
)
def test_numbers_that_wrap(path, shape, offsets):
    path.write_bytes(with_entry(shape=shape, data_offsets=offsets))
    assert peak(path) < 2**16
    with pytest.raises(errors.PatchFileError):
        read_patch(path)


@pytest.mark.parametrize("number", [2**53, 2**63, 2**64 + 32, -(2**63), 10**400])
def test_numbers_that_no_reader_agrees_on(path, number):
    content = with_entry(data_offsets=[32, 1234567890])
    path.write_bytes(content.replace(b"1234567890", str(number).encode()))
    with pytest.raises(errors.PatchFileError):
        read_patch(path)


@pytest.mark.parametrize(
    "places",
    [
        {"head/b": [0, 8], "head/w": [16, 40]},  # a gap
        {"head/b": [0, 8], "head/w": [4, 28]},  # an overlap
        {"head/b": [0, 8], "head/w": [0, 24]},  # twice the same bytes
        {"head/b": [24, 32], "head/w": [0, 24]},  # another order
        {"head/b": [8, 16], "head/w": [16, 40]},  # a gap before the first
    ],
)
def test_gaps_and_overlaps(path, places):
    shapes = {"head/b": [2], "head/w": [3, 2]}
    entries = {
        name: {"dtype": "F32", "shape": shapes[name], "data_offsets": place}
        for name, place in places.items()
    }
    path.write_bytes(file(entries, bytes(max(end for _, end in places.values()))))
    with pytest.raises(errors.HeaderError, match="is not F32 at bytes"):
        read_patch(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"__metadata__":', b'{"__metadata__":{},"__metadata__":'),
        (b'"head/b":', b'"head/b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"head/b":'),
        (b'"head/b":', b'"\\u0068ead/b":{},"head/b":'),  # the same name, spelled otherwise
        (b'"shape":[3,2]', b'"shape":[3,2],"shape":[3,2]'),
    ],
)
def test_a_name_that_stands_twice(path, old, new):
    path.write_bytes(make_patches.respelled(old, new))
    with pytest.raises(errors.DuplicateKeyError):
        read_patch(path)


def dense(unit, size=MIB):
    """The header of a file of `size` bytes, as full of `unit` as fits."""
    return make_patches.wrap(
        b'{"a":[' + b",".join([unit] * ((size - 20) // (len(unit) + 1))) + b"]}"
    )


HEADERS = {
    "lists": dense(b"[]"),
    "mappings": dense(b"{}"),
    "nested": dense(b"[[[[]]]]"),
    "numbers": dense(b"999"),
    "fractions": dense(b"0.5"),
    "keys": make_patches.wrap(b"{" + b",".join(b'"%05x":0' % i for i in range(100_000)) + b"}"),
    "small": dense(b"[]", 4096),
    "texts": dense(b'"abcdefghij"', 2**16 // 2) + bytes(2**16 // 2),
    "inside": file({} | {"__metadata__": {"modelpatch": '{"a":[' + "[]," * 250_000 + "0]}"}}),
    "labels": file(
        {"__metadata__": {"modelpatch": json.dumps({"a": list(map(str, range(50_000)))})}}
    ),
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_no_header_fills_the_memory(path, content):
    path.write_bytes(content)
    with pytest.raises(errors.PatchFileError):
        read_patch(path)
    assert peak(path) < 10 * len(content) + MIB // 4


@pytest.mark.parametrize("name", encoding.ENCODINGS)
def test_a_patch_of_usual_size_takes_less_than_ten_times_its_file(path, name):
    """As many norms as MobileNetV2 has, and ten classes: whole, cut and damaged."""
    good = encode_patch(usual(name))
    path.write_bytes(good)
    assert read_patch(path).encoding == name
    assert peak(path) < 10 * len(good)
    for position in range(9, len(good), len(good) // 12):
        for content in (good[:position], good[:position] + b"\xff" + good[position + 1 :]):
            path.write_bytes(content)
            with pytest.raises(errors.PatchFileError):
                read_patch(path)
            assert peak(path) < 10 * len(good)


def usual(name):
    generator = np.random.default_rng(0)

    def normal(*shape):
        return generator.normal(size=shape).astype(np.float32)

    norms = {
        f"block_{n:02}/expand/norm": {leaf: normal(330) for leaf in ("scale", "offset")}
        for n in range(52)
    }
    head = {"w": normal(1280, 10), "b": normal(10)}
    edits, head = encoding.rounded({"replace": norms}, head, name)
    return PatchContents(
        task="tiny",
        task_version="1.0.0",
        patch="scale_bias",
        backbone="mobilenet_v2_1.0",
        fingerprint="0" * 64,
        norm="frozen",
        labels=tuple("0123456789"),
        metric="top1",
        scores={"test": 0.5},
        preprocessing={},
        parity=Parity(0, (64, 64, 3), (0.5,) * 10, 1e-3),
        edits=edits,
        head=head,
        encoding=name,
    )


def test_the_writer_makes_no_patch_that_is_too_dense_to_read(contents):
    """Some hundred tensors of one number each."""
    many = {f"block_{n}/norm": {"scale": np.ones(1, np.float32)} for n in range(1000)}
    crowded = PatchContents(
        **{name: getattr(contents, name) for name in contents.__dataclass_fields__}
        | {"edits": {"replace": many}}
    )
    with pytest.raises(errors.TooLargeError, match="signs of structure, at most"):
        encode_patch(crowded)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(field=st.sampled_from(sorted(CARD)), value=_JSON, deeper=st.booleans(), data=st.data())
def test_any_card_with_the_right_digest(field, value, deeper, data):
    """Whoever writes cards can compute digests: a typed refusal, or contents that agree with it."""
    card = copy.deepcopy(CARD)
    if deeper and isinstance(card[field], dict):
        card[field][data.draw(st.sampled_from(sorted(card[field])))] = value
    else:
        card[field] = value
    content = make_patches.assemble(card, TENSORS)
    try:
        contents = decode_patch(content)
    except errors.PatchFileError:
        return
    assert contents.task == card["task"]["name"]
    assert contents.labels == tuple(card["labels"])
    assert encode_patch(contents) == content


def peak(path, **arguments):
    """The most bytes that reading `path` holds at once."""
    tracemalloc.start()
    try:
        read_patch(path, **arguments)
    except errors.PatchFileError:
        pass
    finally:
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return found
