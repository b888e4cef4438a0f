"""TrivialAugment's operations, against what they mean in numpy."""

import numpy as np
import pytest
from PIL import Image

from tasks import trivial_augment
from tasks.trivial_augment import OPERATIONS, one_operation

WIDTH, HEIGHT = 20, 10
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
(
    IDENTITY, SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y, ROTATE,
    BRIGHTNESS, COLOUR, CONTRAST, SHARPNESS, POSTERIZE, SOLARIZE, AUTOCONTRAST, EQUALIZE,
) = OPERATIONS  # fmt: skip


def made(operation, signed):
    return np.asarray(operation(Image.fromarray(PIXELS), signed))


@pytest.mark.parametrize("index", range(12))
def test_an_operation_of_no_strength_leaves_the_image_alone(index):
    np.testing.assert_array_equal(made(OPERATIONS[index], 0.0), PIXELS)


def test_moving_takes_pixels_from_three_tenths_of_a_side_away():
    right = made(TRANSLATE_X, 1.0)
    np.testing.assert_array_equal(right[:, :-6], PIXELS[:, 6:])
    assert not right[:, -6:].any()
    up = made(TRANSLATE_Y, -1.0)
    np.testing.assert_array_equal(up[3:], PIXELS[:-3])
    assert not up[:3].any()


def test_shearing_moves_rows_by_their_distance_from_the_middle():
    found = made(SHEAR_X, 1.0)
    expected = np.zeros_like(PIXELS)
    for row in range(HEIGHT):
        shift = 0.3 * (row + 0.5 - HEIGHT / 2)
        for column in range(WIDTH):
            source = int(np.floor(column + 0.5 + shift))
            if 0 <= source < WIDTH:
                expected[row, column] = PIXELS[row, source]
    np.testing.assert_array_equal(found, expected)
    transposed = np.asarray(
        SHEAR_Y(Image.fromarray(np.ascontiguousarray(PIXELS.transpose(1, 0, 2))), 1.0)
    )
    np.testing.assert_array_equal(transposed, expected.transpose(1, 0, 2))


def test_bits_are_dropped_and_bright_pixels_inverted():
    np.testing.assert_array_equal(made(POSTERIZE, -1.0), PIXELS & 0b11110000)
    np.testing.assert_array_equal(made(SOLARIZE, 0.5), np.where(PIXELS < 128, PIXELS, 255 - PIXELS))


def test_contrast_spreads_each_channel_over_all_values():
    image = np.random.default_rng(1).integers(100, 164, (40, 40, 3), np.uint8)
    for operation in (AUTOCONTRAST, EQUALIZE):
        found = np.asarray(operation(Image.fromarray(image), 1.0))
        assert found.min() == 0
        assert found.max() >= 250


def test_every_operation_is_drawn_as_often_as_any_other(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        trivial_augment,
        "OPERATIONS",
        [
            lambda image, signed, index=index: drawn.append((index, signed)) or image
            for index in range(14)
        ],
    )
    rng = np.random.default_rng(0)
    for _ in range(14 * 300):
        one_operation(PIXELS, rng)
    counts = np.bincount([index for index, _ in drawn], minlength=14)
    assert (abs(counts - 300) < 5 * np.sqrt(300)).all()
    strengths = np.array([signed for _, signed in drawn])
    assert len(np.unique(strengths)) == 61
    assert abs(strengths.mean()) < 0.05
