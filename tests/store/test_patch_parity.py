import numpy as np
import pytest

from adapters.store.errors import ParityError
from adapters.store.parity import (
    MOST_VALUES,
    check_logits,
    positions,
    seed_of,
    seeded_image,
    values,
)

# printf 'modelpatch parity 7 0' | sha256sum; printf 'modelpatch parity 7 1' | sha256sum
STREAM = bytes.fromhex(
    "b10046d0f2447e12cabf44ab66f221144c63bda68757561d9f34bd24bd7d2d13"
    "3cf854c7c90a1ce3ffcd0ab4a05a5166a76bc815c8498064f7d2a8c3a4e475f7"
)


def test_image_is_the_published_stream():
    image = seeded_image(7, (4, 5, 3))
    assert image.dtype == np.float32
    expected = [(2 * byte - 255) / 256 for byte in STREAM[:60]]
    assert image.tolist() == np.reshape(expected, (4, 5, 3)).tolist()


def test_seed_is_the_first_bits_of_the_preprocessing_s_digest():
    # printf '{"fit":"crop","size":8}' | sha256sum | cut -c 1-16
    assert seed_of({"size": 8, "fit": "crop"}) == 0x8A46F10CCC47305A >> 11
    assert seed_of({"size": 8, "fit": "pad"}) != seed_of({"size": 8, "fit": "crop"}) < 2**53


def test_image_is_noise_between_minus_one_and_one():
    image = seeded_image(0, (64, 64, 3))
    assert np.abs(image).max() < 1
    # A uniform variable's: mean 0 and variance 1/3, each within five standard errors.
    assert abs(image.mean()) < 5 * np.sqrt(1 / 3 / image.size)
    assert abs(image.var() - 1 / 3) < 5 * np.sqrt(4 / 45 / image.size)
    assert not np.array_equal(image, seeded_image(1, (64, 64, 3)))


def test_a_large_map_is_stated_at_published_places():
    # printf 'modelpatch parity 7 positions 0' | sha256sum
    digest = "4395668e3bbb96947a605199457d4da7f9fcc74d32a4b19ec24289cc2c1acfb9"
    first = [int(digest[start : start + 16], 16) % 4000 for start in range(0, 64, 16)]
    assert positions(7, 4000)[:4].tolist() == first
    maps = np.random.default_rng(0).normal(size=(20, 20, 10))
    assert values({"logits": maps}, 7)[:4].tolist() == maps.ravel()[first].tolist()
    assert len(values({"logits": maps}, 7)) == MOST_VALUES
    # Of a map with one row wrong, about as many values differ as the row has of all.
    wrong = maps.copy()
    wrong[10] += 1
    assert (values({"logits": wrong}, 7) != values({"logits": maps}, 7)).mean() == pytest.approx(
        1 / 20, abs=0.03
    )


def test_small_maps_and_every_vector_are_stated_whole():
    small, vector = np.arange(1024.0).reshape(16, 16, 4), np.arange(3000.0)
    assert values({"logits": small}, 7).tolist() == small.ravel().tolist()
    assert values({"logits": vector}, 7).tolist() == vector.tolist()
    both = values({"b": np.float64([3.0]), "a": np.float64([[1.0, 2.0]])}, 7)
    assert both.tolist() == [1.0, 2.0, 3.0]


def test_logits_within_tolerance_pass():
    check_logits((1.0, -2.0), np.float32([1.0009765625, -2.0]), 1e-3)
    check_logits((1.0,), [1.5], 0.5)


@pytest.mark.parametrize(
    ("got", "match"),
    [
        ([1.0, -2.25], "up to 0.25, 0.001 is allowed"),
        ([float("nan"), -2.0], "up to nan"),
        ([float("inf"), -2.0], "up to inf"),
        ([1.0], r"\(2,\) logits are expected, \(1,\)"),
        ([[1.0, -2.0]], r"\(1, 2\) were computed"),
    ],
)
def test_other_logits_are_refused(got, match):
    with pytest.raises(ParityError, match=match):
        check_logits((1.0, -2.0), got, 1e-3)
