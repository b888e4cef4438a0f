"""Grey images of other depths than 8 bits, brought to 8: by what black and white are in their file.

Sources: TIFF 6.0, tags BitsPerSample, PhotometricInterpretation and SampleFormat; PNG, third
edition, 11.3.1.1, for one grey value or colour that is transparent.
"""

import numpy as np
from PIL import ExifTags, Image

from adapters import errors

_UNSIGNED, _SIGNED = 1, 2  # of SampleFormat
_WHITE_IS_ZERO = 0  # of PhotometricInterpretation
_LOW_DEPTHS = {"L;2": 85, "L;4": 17}  # as Pillow calls them, with what it multiplies samples by


class UnreadableImageError(errors.ModelPatchError):
    """Bytes that are no image, a damaged one, or one of a kind that has no unique RGB reading."""


def eight_bits(image: Image.Image) -> Image.Image:
    """Returns an image that Pillow has opened with samples of 8 bits; one that has is itself.

    Samples of 9 to 16 bits keep their highest 8. Where one grey value is transparent, the image has
    a channel that says so. Pixels are loaded.

    Raises UnreadableImageError for samples whose black or white nobody knows: floating-point and
    signed numbers, and integers of 32 bits; and for a transparent colour of 16 bits.
    """
    depth = _raw_mode(image)
    image.load()
    _check_known(image)
    if image.mode.startswith("I;16"):
        return _from_sixteen(image)
    if image.mode == "La":
        return image.convert("LA")  # Pillow has no other way out of a multiplied grey
    clear = image.info.get("transparency")
    if image.mode == "RGB" and clear is not None and (depth == "RGB;16B" or max(clear) > 255):
        raise UnreadableImageError("one colour of 16 bits is transparent in it.")
    if image.mode == "L" and depth in _LOW_DEPTHS and isinstance(clear, int):
        image.info["transparency"] = clear * _LOW_DEPTHS[depth]
    return image


def _raw_mode(image: Image.Image) -> str | None:
    """How samples lie in the file, which Pillow forgets when it loads them."""
    tiles = getattr(image, "tile", ())
    how = tiles[0][3] if tiles else None
    return how if isinstance(how, str) else None


def _check_known(image: Image.Image) -> None:
    signed = _SIGNED in _tag(image, ExifTags.Base.SampleFormat, _UNSIGNED)
    kind = {"F": "floating-point numbers", "I": "integers of 32 bits"}.get(image.mode)
    if signed or kind:
        raise UnreadableImageError(
            f"its pixels are {'signed integers' if signed else kind} of unknown range. Save it "
            "with 8 or 16 bits a pixel, black as 0."
        )


def _from_sixteen(image: Image.Image) -> Image.Image:
    (bits,) = _tag(image, ExifTags.Base.BitsPerSample, 16)
    samples = np.asarray(image)
    grey = np.empty(samples.shape, np.uint8)
    # Straight into the narrow array: a large image is not held once more in a wide one.
    np.right_shift(samples, bits - 8, out=grey, casting="unsafe")
    if _tag(image, ExifTags.Base.PhotometricInterpretation, 1)[0] == _WHITE_IS_ZERO:
        np.subtract(255, grey, out=grey)
    made = Image.fromarray(grey)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        seen = np.where(samples == clear, np.uint8(0), np.uint8(255))
        made.putalpha(Image.fromarray(seen))
    made.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return made


def _tag(image: Image.Image, tag: int, default: int) -> tuple[int, ...]:
    """The values of a TIFF file's tag; of other files the default."""
    found = getattr(image, "tag_v2", {}).get(tag, default)
    return found if isinstance(found, tuple) else (found,)
