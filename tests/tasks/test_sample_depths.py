"""Grey of any depth: what a file calls black is black, white is white, or it is refused."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from adapters import preprocessing
from adapters.preprocessing import UnreadableImageError

GROUND = (0, 255, 0)


def packed(samples, bits, order="big") -> bytes:
    """A row of samples of so many bits each; those of whole bytes in the order given."""
    if bits % 8 == 0:
        return b"".join(value.to_bytes(bits // 8, order) for value in samples)
    text = "".join(format(value, f"0{bits}b") for value in samples)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def tiff(samples, bits, photometric=1, sample_format=1, big=False, turned=1) -> bytes:
    """A grey TIFF file of one row. TIFF 6.0, sections 2 and 8."""
    mark = ">" if big else "<"
    data = packed(samples, bits, "big" if big else "little")
    tags = {
        256: (4, len(samples)),
        257: (4, 1),
        258: (3, bits),
        259: (3, 1),
        262: (3, photometric),
        273: (4, 0),
        274: (3, turned),
        277: (3, 1),
        278: (4, 1),
        279: (4, len(data)),
        339: (3, sample_format),
    }
    tags[273] = (4, 8 + 2 + 12 * len(tags) + 4)
    entries = b"".join(
        struct.pack(f"{mark}HHI", tag, kind, 1)
        + struct.pack(f"{mark}I" if kind == 4 else f"{mark}Hxx", value)
        for tag, (kind, value) in sorted(tags.items())
    )
    start = (b"MM" if big else b"II") + struct.pack(f"{mark}HIH", 42, 8, len(tags))
    return start + entries + bytes(4) + data


def png(samples, bits, colour=0, clear=None) -> bytes:
    """A PNG file of one row; `colour` is 0 for grey, 2 for RGB. PNG, third edition, 5 and 11."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    width = len(samples) // (3 if colour else 1)
    header = struct.pack(">IIBBBBB", width, 1, bits, colour, 0, 0, 0)
    seen = b"" if clear is None else chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    rows = zlib.compress(b"\0" + packed(samples, bits))
    parts = chunk(b"IHDR", header) + seen + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def grey(data: bytes) -> np.ndarray:
    pixels = np.asarray(preprocessing.decode(data, background=GROUND), int)
    assert (pixels[..., :1] == pixels).all()
    return pixels[0, :, 0]


@given(
    bits=st.sampled_from([1, 2, 4, 8, 12, 16, 32]),
    photometric=st.sampled_from([0, 1]),
    sample_format=st.sampled_from([1, 2]),
    big=st.booleans(),
    shares=st.lists(st.floats(0, 1), min_size=8, max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_a_tiff_s_black_is_black_or_it_is_refused(bits, photometric, sample_format, big, shares):
    highest = 2**bits - 1
    samples = [round(highest * share) for share in shares]
    data = tiff(samples, bits, photometric, sample_format, big)
    try:
        found = grey(data)
    except UnreadableImageError:
        assert (bits in (12, 32)) or sample_format == 2 or (bits == 16 and photometric == 0)
        return
    assert sample_format == 1
    wanted = np.asarray(samples) * 255 / highest
    np.testing.assert_allclose(found, wanted if photometric else 255 - wanted, atol=1)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_what_is_read_of_tiff_files_stays_so(bits):
    samples = [round((2**bits - 1) * share / 3) for share in range(4)]
    np.testing.assert_allclose(grey(tiff(samples, bits)), [0, 85, 170, 255], atol=1)


def test_white_may_be_zero_in_16_bits():
    samples = [0, 21845, 43690, 65535]
    np.testing.assert_allclose(grey(tiff(samples, 16, photometric=0)), [255, 170, 85, 0], atol=1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tiff([0, 85, 170, 255], 32, sample_format=2), "signed integers of unknown range"),
        (tiff([0, 85, 170, 255], 32), "integers of 32 bits of unknown range"),
        (tiff([0, 1, 2, 3], 16, sample_format=2), "signed integers"),
        (tiff([0, 1, 2, 3], 8, sample_format=2), "signed integers"),
        (tiff([0, 1, 2, 3], 12, photometric=0), "TIFF of a kind that cannot be read"),
        (png([0, 0, 0] * 8, 16, colour=2, clear=(0, 0, 0)), "one colour of 16 bits"),
    ],
    ids=["int32", "uint32", "int16", "int8", "white is zero in 12 bits", "transparent colour"],
)
def test_an_unknown_range_is_said(data, said):
    with pytest.raises(UnreadableImageError, match=said):
        preprocessing.decode(data)


def test_a_turned_image_of_16_bits_is_turned():
    decoded = preprocessing.decode(tiff([0, 65535], 16, turned=6))
    assert np.asarray(decoded)[..., 0].tolist() == [[0], [255]]


@given(
    bits=st.sampled_from([1, 2, 4, 8, 16]),
    shares=st.lists(st.floats(0, 1), min_size=8, max_size=8),
    clear=st.none() | st.integers(0, 7),
)
@settings(max_examples=100, deadline=None)
def test_grey_png_of_every_depth_with_a_transparent_value(bits, shares, clear):
    highest = 2**bits - 1
    samples = [round(highest * share) for share in shares]
    key = None if clear is None else samples[clear]
    decoded = preprocessing.decode(
        png(samples, bits, clear=None if key is None else (key,)), GROUND
    )
    for value, pixel in zip(samples, np.asarray(decoded)[0].tolist(), strict=True):
        if value == key:
            assert tuple(pixel) == GROUND
        else:
            np.testing.assert_allclose(pixel, value * 255 / highest, atol=1)


def test_a_transparent_colour_of_8_bits_shows_the_background():
    decoded = preprocessing.decode(png([1, 2, 3, 4, 5, 6], 8, colour=2, clear=(1, 2, 3)), GROUND)
    assert np.asarray(decoded)[0].tolist() == [list(GROUND), [4, 5, 6]]


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "I;16", "I;16B"]
)
def test_white_is_white_in_every_mode(mode):
    white = {"CMYK": 0, "YCbCr": (255, 128, 128), "HSV": (0, 0, 255), "I;16": 65535, "I;16B": 65535}
    image = Image.new(mode, (2, 1), white.get(mode, "white"))
    assert np.asarray(preprocessing.upright(image, GROUND)).tolist() == [[[255] * 3] * 2]


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_a_clear_pixel_shows_the_background_in_every_mode(mode):
    image = Image.new(mode, (1, 1))
    assert np.asarray(preprocessing.upright(image, GROUND)).tolist() == [[list(GROUND)]]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_arrays_of_unknown_range_are_refused_as_files_are(mode):
    with pytest.raises(UnreadableImageError, match="unknown range"):
        preprocessing.to_rgb(Image.new(mode, (2, 2)), GROUND)


def test_grey_is_never_widened():
    data = png([40000] * 200_000, 16)
    preprocessing.decode(png([40000], 16))
    tracemalloc.start()
    try:
        preprocessing.decode(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Two bytes a pixel from Pillow, one made of them, copies of that; not eight and more.
    assert peak < 7 * 200_000
