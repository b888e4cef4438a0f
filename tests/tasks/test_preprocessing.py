"""From file to network input: every kind of image, every fit, and the record that travels along."""

import io
import json
import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from adapters import preprocessing
from adapters.preprocessing import Preprocessing, PreprocessingError, UnreadableImageError
from tests import imports

SETTINGS = Preprocessing(4, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))


def encode(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(mode: str = "RGB") -> Image.Image:
    """Left red, right blue, 8x4."""
    image = Image.new("RGB", (8, 4), (255, 0, 0))
    image.paste((0, 0, 255), (4, 0, 8, 4))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "png"),
        ("RGBA", "png"),
        ("P", "png"),
        ("P", "gif"),
        ("RGB", "bmp"),
        ("RGB", "tiff"),
        ("RGB", "webp"),
        ("RGBA", "webp"),
        ("RGB", "jpeg"),
        ("CMYK", "tiff"),
        ("CMYK", "jpeg"),
    ],
)
def test_every_format_and_mode_gives_the_same_colours(mode: str, kind: str):
    exact = kind in ("jpeg", "webp")
    decoded = preprocessing.decode(encode(halves(mode), kind))
    assert decoded.mode == "RGB"
    difference = np.abs(np.asarray(decoded, int) - np.asarray(halves(), int))
    assert difference[:, [0, 1, 6, 7]].max() <= (12 if exact else 1)


def test_grey_of_8_and_of_16_bits_agree():
    wide = np.array([[0, 256, 40000, 65535]], np.uint16)
    decoded = preprocessing.decode(encode(Image.fromarray(wide), "png"))
    assert np.asarray(decoded)[0, :, 0].tolist() == [0, 1, 40000 // 256, 255]
    narrow = Image.fromarray((wide >> 8).astype(np.uint8))
    np.testing.assert_array_equal(
        np.asarray(decoded), np.asarray(preprocessing.decode(encode(narrow, "png")))
    )


def test_transparent_pixels_show_the_background():
    image = Image.new("RGBA", (2, 1), (200, 100, 0, 255))
    image.putpixel((1, 0), (200, 100, 0, 51))
    pixels = np.asarray(preprocessing.decode(encode(image, "png"), background=(0, 0, 255)))
    assert pixels[0, 0].tolist() == [200, 100, 0]
    # A fifth of the colour, four fifths of the background.
    np.testing.assert_allclose(pixels[0, 1], [40, 20, 204], atol=1)


def test_a_transparent_palette_colour_shows_the_background():
    image = Image.new("P", (1, 1))
    image.putpalette([9, 9, 9])
    pixels = np.asarray(preprocessing.decode(encode(image, "png", transparency=0)))
    assert pixels[0, 0].tolist() == [255, 255, 255]


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("lime", "red")]
    data = encode(frames[0], "gif", save_all=True, append_images=frames[1:])
    assert np.asarray(preprocessing.decode(data))[0, 0].tolist() == [0, 255, 0]


def test_a_photograph_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn to the left
    data = encode(halves(), "jpeg", exif=exif, quality=95)
    decoded = preprocessing.decode(data)
    assert decoded.size == (4, 8)
    assert np.asarray(decoded)[0, 0, 0] > 200
    assert np.asarray(decoded)[7, 0, 2] > 200


def test_shrinking_keeps_the_aspect_ratio_and_never_enlarges():
    data = encode(Image.new("RGB", (400, 1000)), "jpeg")
    assert preprocessing.decode(data, shrink_to=72).size == (72, 180)
    assert preprocessing.decode(encode(halves(), "png"), shrink_to=72).size == (8, 4)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        encode(Image.effect_noise((64, 64), 50), "png")[:600],
        encode(Image.effect_noise((64, 64), 50), "jpeg")[:600],
        encode(Image.fromarray(np.zeros((2, 2), np.float32)), "tiff"),
    ],
    ids=["empty", "text", "cut png", "cut jpeg", "floating point"],
)
def test_what_cannot_be_read_is_said(data: bytes):
    with pytest.raises(UnreadableImageError):
        preprocessing.decode(data)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "tiff", "bmp"])
def test_a_damaged_image_is_read_or_refused_and_nothing_else(kind: str):
    """Flips a bit of every byte of the headers, where Pillow's readers fail in many ways."""
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if kind in ("png", "jpeg", "webp") else {}
    good = encode(halves("CMYK" if kind == "tiff" else "RGB"), kind, **options)
    refused = 0
    for position in range(min(len(good), 250)):
        damaged = bytearray(good)
        damaged[position] ^= 1 << position % 8
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, of odd metadata
            try:
                preprocessing.decode(bytes(damaged), shrink_to=256)
            except UnreadableImageError:
                refused += 1
    assert refused


def test_a_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UnreadableImageError, match="bomb"):
        preprocessing.decode(encode(halves(), "png"))


def fit(image: Image.Image, kind: str, **options) -> np.ndarray:
    settings = Preprocessing(4, (0.0,) * 3, (1.0,) * 3, kind, background=(0, 255, 0))
    pixels = preprocessing.prepare(image, settings, **options)
    assert pixels.shape == (4, 4, 3)
    assert pixels.dtype == np.uint8
    return pixels


def test_stretch_averages_over_what_it_covers():
    rows = np.repeat(np.arange(16, dtype=np.uint8) * 10, 2).reshape(1, 32, 1)
    pixels = fit(Image.fromarray(np.tile(rows, (4, 1, 3))), "stretch")
    # Pillow's bilinear filter is a triangle twice as wide as a target pixel: here sixteen columns,
    # cut at the border, with weights 1, 3, ..., 15, 15, ..., 3, 1.
    weights = np.concatenate([np.arange(1, 16, 2), np.arange(15, 0, -2)])
    for target in range(4):
        columns = np.arange(target * 8 - 4, target * 8 + 12)
        inside = (columns >= 0) & (columns < 32)
        expected = np.average(rows[0, columns[inside], 0], weights=weights[inside])
        assert abs(int(pixels[2, target, 0]) - expected) <= 1


def test_crop_keeps_the_central_square():
    image = Image.new("RGB", (12, 4), "red")
    image.paste("blue", (4, 0, 8, 4))
    pixels = fit(image, "crop")
    assert (pixels == (0, 0, 255)).all()


def test_pad_keeps_everything_on_the_background():
    pixels = fit(halves(), "pad")
    assert (pixels[[0, 3]] == (0, 255, 0)).all()
    assert pixels[1, 0].tolist() == [255, 0, 0]
    assert pixels[2, 3].tolist() == [0, 0, 255]


def test_a_box_is_a_part_of_the_image_to_a_fraction_of_a_pixel():
    ramp = np.arange(40, dtype=np.uint8) * 5
    image = Image.fromarray(np.tile(ramp[None, :, None], (8, 1, 3)))
    pixels = fit(image, "stretch", box=(10.5, 0.0, 30.5, 8.0))
    # A symmetric filter leaves a ramp a ramp: each pixel is the ramp's value at its centre.
    centres = 10.5 + 5 * (np.arange(4) + 0.5)
    np.testing.assert_allclose(pixels[1, :, 0], 5 * (centres - 0.5), atol=1)


@pytest.mark.parametrize("kind", preprocessing.FITS)
def test_a_box_of_one_colour_gives_that_colour(kind: str):
    image = Image.new("RGB", (40, 40), "red")
    image.paste("blue", (8, 8, 32, 32))
    pixels = fit(image, kind, box=(12.0, 12.0, 28.0, 28.0))
    assert (pixels == (0, 0, 255)).all()


def test_a_box_may_end_a_rounding_error_beyond_the_image():
    box = (0.1, 0.1, 8.000000000000002, 4.000000000000001)
    assert fit(halves(), "stretch", box=box).shape == (4, 4, 3)


def test_normalising_is_the_formula():
    pixels = np.array([[0, 127, 255]], np.uint8)
    settings = Preprocessing(4, (127.0, 0.0, 255.0), (128.0, 2.0, 0.5))
    normalised = preprocessing.normalise(pixels, settings)
    assert normalised.dtype == np.float32
    np.testing.assert_array_equal(normalised, np.array([[-127 / 128, 63.5, 0.0]], np.float32))


def test_the_record_survives_json_exactly():
    settings = Preprocessing(96, (0.1, 1 / 3, 255.0), (58.395, 57.12, 1e-3), "pad", (1, 2, 3))
    assert Preprocessing.from_json(json.loads(json.dumps(settings.to_json()))) == settings


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 0},
        {"size": 1.5},
        {"size": True},
        {"mean": [1, 2]},
        {"mean": 1},
        {"mean": [1, 2, "x"]},
        {"std": [1, 0, 1]},
        {"std": [1, float("nan"), 1]},
        {"fit": "squeeze"},
        {"background": [0, 0, 256]},
        {"extra": 1},
    ],
)
def test_a_record_that_is_wrong_is_refused(changes):
    with pytest.raises(PreprocessingError):
        Preprocessing.from_json({**SETTINGS.to_json(), **changes})


def test_a_record_with_a_field_missing_is_refused():
    record = SETTINGS.to_json()
    del record["fit"]
    with pytest.raises(PreprocessingError, match=r"background.*mean"):
        Preprocessing.from_json(record)


PEAK = """
import pathlib, sys
from PIL import Image
from adapters import preprocessing

def resident(which):
    line = next(one for one in open("/proc/self/status") if one.startswith(which))
    return 1024 * int(line.split()[1])

data = pathlib.Path(sys.argv[1]).read_bytes()
Image.init()
before = resident("VmRSS")
image = preprocessing.decode(data)
print((resident("VmHWM") - before) / (3 * image.width * image.height))
"""


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="no /proc")
def test_a_photograph_is_in_memory_once(tmp_path: pathlib.Path):
    Image.new("RGB", (5000, 4000)).save(tmp_path / "large.jpg")
    command = [sys.executable, "-P", "-c", PEAK, str(tmp_path / "large.jpg")]
    environment = {**os.environ, "PYTHONPATH": str(imports.ROOT)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert 0.9 < float(said.stdout) < 1.6  # Pillow keeps four bytes a pixel
