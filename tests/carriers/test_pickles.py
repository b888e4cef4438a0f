"""Arrays come out of pickles; nothing else ever runs."""

import io
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import pickle_machine, pickles

ARRAYS = [
    np.arange(12, dtype=np.uint8).reshape(3, 4),
    np.arange(6, dtype=">i8"),
    np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    np.array([True, False]),
    np.zeros((0, 4), np.float64),
    np.array(2.5, np.float16),
]


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_round_trip(array, protocol):
    loaded = pickles.load_array(io.BytesIO(pickle.dumps(array, protocol)))
    np.testing.assert_array_equal(loaded, array)
    assert loaded.dtype == array.dtype


class Runs:
    """Pickles to a call of `os.mkdir`."""

    def __init__(self, path: str):
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def test_a_pickled_call_is_refused_and_not_made(tmp_path):
    data = pickle.dumps([np.zeros(3), Runs(str(tmp_path / "made"))])
    with pytest.raises(pickles.PickleError, match=r"posix\.mkdir, which could run code"):
        pickles.load_array(io.BytesIO(data))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array([{"a": 1}], dtype=object),
        np.zeros(2, [("x", "f4")]),
        np.array(["text"]),
        np.ma.array([1, 2]),
        [1, 2],
        {"a": np.zeros(2)},
        None,
    ],
    ids=repr,
)
def test_anything_but_one_array_of_numbers_is_refused(value):
    with pytest.raises(pickles.PickleError):
        pickles.load_array(io.BytesIO(pickle.dumps(value)))


PLAIN = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False)
TEXT = st.text(max_size=5) | st.binary(max_size=5)
DATA = st.recursive(
    PLAIN | TEXT,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(PLAIN | TEXT | st.tuples(PLAIN, TEXT), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(DATA, st.integers(2, 5))
def test_plain_data_is_what_the_standard_library_loads(value, protocol):
    file = io.BytesIO(pickle.dumps([value, value], protocol) + b"behind")
    assert pickles.load(file, pickles.NUMPY) == [value, value]
    assert file.read() == b"behind"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (b"}" * 9 + b"\x85" * 9 + b"K\x01s.", "no plain values"),  # nested tuples as a key
        (b"K\x01K\x02a.", "adds items to 1"),
        (b"\x82\x01.", "holds EXT1"),
        (b"(cposix\nsystem\no.", "posix.system, which could run code"),
        (b"Q.", "IndexError"),
        (b"X\x00", "UnicodeDecodeError|ValueError|struct"),
    ],
)
def test_programs_that_make_no_sense(program, said):
    with pytest.raises(pickles.PickleError, match=said):
        pickles.load(io.BytesIO(b"\x80\x02" + program), {}, lambda identifier: identifier)


def test_memory_is_counted(monkeypatch):
    monkeypatch.setattr(pickle_machine, "MEMORY", 160 * 100)
    value = list(range(10))  # an opcode each, and some around them
    assert pickles.load(io.BytesIO(pickle.dumps(value, 2)), {}) == value
    with pytest.raises(pickles.PickleError, match="more than 16000 bytes of memory"):
        pickles.load(io.BytesIO(pickle.dumps(value * 10, 2)), {})
    # What a call is given counts as often as it is given; text that is there once is free once.
    array = np.arange(1 << 12, dtype=np.uint8)
    np.testing.assert_array_equal(pickles.load_array(io.BytesIO(pickle.dumps(array, 2))), array)
    encode = b"c_codecs\nencode\nX\x00\x10\0\0" + b"a" * 4096 + b"X\x06\0\0\0latin1\x86q\x00R"
    again = b"c_codecs\nencode\nh\x00R"
    assert len(pickles.load(io.BytesIO(encode + b"."), pickles.NUMPY)) == 4096
    with pytest.raises(pickles.PickleError, match="more than 16000 bytes of memory"):
        pickles.load(io.BytesIO(encode + again * 4 + b"."), pickles.NUMPY)


def test_damage_is_one_kind_of_error():
    data = pickle.dumps(np.arange(50, dtype=np.int16))
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        damaged = bytearray(data)
        damaged[generator.integers(len(data))] ^= 1 << generator.integers(8)
        try:
            pickles.load_array(io.BytesIO(bytes(damaged[: generator.integers(len(data))])))
        except pickles.PickleError:
            refused += 1
    assert refused == 500  # each was cut short
