"""Arrays come out of pickles; nothing else ever runs."""

import io
import os
import pickle

import numpy as np
import pytest

from adapters import pickles

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
