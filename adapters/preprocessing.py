"""From an image file to the pixels a backbone expects: one path for training and for devices."""

import dataclasses
import io
import math
from collections.abc import Mapping

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from adapters import errors, image_kinds
from adapters.sample_depths import UnreadableImageError as UnreadableImageError
from adapters.sample_depths import eight_bits
from adapters.view import View

FITS = ("stretch", "crop", "pad")
# No others: Pillow would start a PostScript interpreter on some.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]


class PreprocessingError(errors.ModelPatchError):
    """A preprocessing record with a field missing, unknown or out of range."""


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a network's input; it travels with the weights and in every patch file.

    size: side of the square input, pixels.
    mean, std: of RGB pixels in 0..255; the input is `(pixel - mean) / std`.
    fit: "stretch" ignores the aspect ratio, "crop" keeps the central square, "pad" keeps everything
      and fills the rest with `background`.
    background: RGB colour under transparent pixels and around padded images.

    Raises PreprocessingError for values that cannot work.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    fit: str = "stretch"
    background: Colour = (255, 255, 255)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise PreprocessingError(f"size is {self.size}; it must be at least one pixel.")
        if self.fit not in FITS:
            raise PreprocessingError(f"fit is {self.fit!r}; it must be one of {', '.join(FITS)}.")
        for field in ("mean", "std"):
            values = getattr(self, field)
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise PreprocessingError(f"{field} is {values}; it must be three finite numbers.")
        if min(self.std) <= 0:
            raise PreprocessingError(f"std is {self.std}; it must be three numbers above zero.")
        if len(self.background) != 3 or not all(0 <= value <= 255 for value in self.background):
            raise PreprocessingError(f"background is {self.background}; it must be RGB in 0..255.")

    def to_json(self) -> dict[str, object]:
        """Returns a mapping for `json.dumps`, from which `from_json` restores this very record."""
        record = dataclasses.asdict(self)
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in record.items()
        }

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> "Preprocessing":
        """Restores a record. Raises PreprocessingError when it is not one that `to_json` makes."""
        wanted = {field.name for field in dataclasses.fields(cls)}
        if set(record) != wanted:
            raise PreprocessingError(
                f"preprocessing holds the fields {sorted(record)}; expected {sorted(wanted)}."
            )
        try:
            return cls(
                size=_integer(record["size"]),
                mean=tuple(float(value) for value in record["mean"]),  # type: ignore
                std=tuple(float(value) for value in record["std"]),  # type: ignore
                fit=str(record["fit"]),
                background=tuple(_integer(value) for value in record["background"]),  # type: ignore
            )
        except (TypeError, ValueError) as error:
            raise PreprocessingError(
                f"preprocessing holds a value of the wrong kind: {error}"
            ) from error


def decode(
    data: bytes, background: Colour = (255, 255, 255), shrink_to: int | None = None
) -> Image.Image:
    """Returns the image file `data` as upright RGB, transparent pixels laid over `background`.

    PNG, JPEG, WebP, GIF, BMP and TIFF, and HEIC where pillow-heif is installed; grey, palette,
    CMYK and 16-bit images are converted, an animation gives its first frame, a camera's
    orientation mark is obeyed. With `shrink_to`, an image whose short side is longer is scaled
    down to that many pixels.

    Raises UnreadableImageError.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_formats(data)) as opened:
            if shrink_to is not None:
                # A JPEG decodes faster straight to a smaller scale that is still large enough.
                opened.draft("RGB", (2 * shrink_to, 2 * shrink_to))
            image = _upright(opened)
            # A grey image is scaled down as one that is grey in RGB, at a third of the memory.
            if shrink_to is not None and image.mode in ("L", "RGB") and _is_opaque(image):
                image = shrink(image, shrink_to)
            image = to_rgb(image, background)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(_unidentified(data)) from error
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise UnreadableImageError(f"the image is damaged: {error}.") from error
    return image if shrink_to is None else shrink(image, shrink_to)


def upright(image: Image.Image, background: Colour) -> Image.Image:
    """Returns an image that Pillow has opened as `decode` would have: upright, in RGB.

    One that is both already is returned itself: a copy of a photograph takes some forty megabytes.
    Raises UnreadableImageError; Pillow reads a file's pixels only when they are needed.
    """
    try:
        return to_rgb(_upright(image), background)
    except UnreadableImageError:
        raise
    except Exception as error:  # as in `decode`
        raise UnreadableImageError(f"the image is damaged: {error}.") from error


def prepare(image: Image.Image, preprocessing: Preprocessing, box: Box | None = None) -> np.ndarray:
    """Returns uint8 pixels `[size, size, 3]` of an RGB image, or of its part `box`.

    box: left, top, right, bottom in pixels, fractions allowed; augmentation chooses it. Resampling
    is bilinear and, when scaling down, averages over every covered pixel.
    """
    return np.asarray(
        _placed(image, preprocessing, box, Image.Resampling.BILINEAR, preprocessing.background)
    )


def prepare_classes(
    classes: np.ndarray, preprocessing: Preprocessing, box: Box | None = None
) -> np.ndarray:
    """Returns int32 classes `[size, size]` of classes `[H, W]`, below 2**15: see `prepare`.

    Each pixel takes the class that lies nearest; where an image is padded, and for negative ones,
    it is -1.
    """
    image = Image.fromarray(np.asarray(classes, np.int32), "I")
    return np.asarray(_placed(image, preprocessing, box, Image.Resampling.NEAREST, -1), np.int32)


def prepare_boxes(
    boxes: np.ndarray, width: int, height: int, preprocessing: Preprocessing, box: Box | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what `prepare` shows of boxes, float32 [N, 4], and the share of each area, [N].

    boxes: left, top, right, bottom in parts of the sides of an image of `width` x `height` pixels;
      those that are returned are in parts of the network's image.
    """
    (left, top, right, bottom), _, _ = _places(width, height, preprocessing, box)
    low, high = np.array([left / width, top / height]), np.array([right / width, bottom / height])
    inside = np.clip(boxes, np.tile(low, 2), np.tile(high, 2))
    shown, whole = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (inside, boxes))
    origin, scale = _frame(width, height, preprocessing, box)
    return ((inside - np.tile(origin, 2)) * np.tile(scale, 2)).astype(np.float32), shown / whole


def view_of(width: int, height: int, preprocessing: Preprocessing) -> View:
    """Which part of a picture of this size the network's image shows."""
    origin, scale = _frame(width, height, preprocessing, None)
    return View(width, height, *origin.tolist(), *(origin + 1 / scale).tolist())


def _frame(
    width: int, height: int, preprocessing: Preprocessing, box: Box | None
) -> tuple[np.ndarray, np.ndarray]:
    """What is taken from places in an image, and what they are multiplied by; x and y."""
    (left, top, right, bottom), target, margins = _places(width, height, preprocessing, box)
    sides, seen = np.array([width, height]), np.array([right - left, bottom - top])
    scale = sides / seen * np.array(target) / preprocessing.size
    return np.array([left, top]) / sides - np.array(margins) / preprocessing.size / scale, scale


def _places(
    width: int, height: int, preprocessing: Preprocessing, box: Box | None
) -> tuple[Box, tuple[int, int], tuple[int, int]]:
    """The part of an image that is seen, the size it gets, and what is left free before it."""
    left, top, right, bottom = box or (0.0, 0.0, float(width), float(height))
    wide, high = right - left, bottom - top
    size = preprocessing.size
    if preprocessing.fit == "crop":
        side = min(wide, high)
        left, top = left + (wide - side) / 2, top + (high - side) / 2
        wide = high = side
    target = (size, size)
    if preprocessing.fit == "pad":
        scale = size / max(wide, high)
        target = (max(1, round(wide * scale)), max(1, round(high * scale)))
    # Rounding may carry the far edge a hair beyond the image, which Pillow refuses.
    region = (left, top, min(left + wide, width), min(top + high, height))
    return region, target, ((size - target[0]) // 2, (size - target[1]) // 2)


def _placed(
    image: Image.Image,
    preprocessing: Preprocessing,
    box: Box | None,
    resampling: Image.Resampling,
    beside: Colour | int,
) -> Image.Image:
    region, target, margins = _places(image.width, image.height, preprocessing, box)
    resized = image.resize(target, resampling, box=region)
    size = preprocessing.size
    if target == (size, size):
        return resized
    canvas = Image.new(image.mode, (size, size), beside)
    canvas.paste(resized, margins)
    return canvas


def normalise(pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Returns the float32 network input `(pixels - mean) / std` of uint8 pixels `[..., 3]`."""
    mean = np.asarray(preprocessing.mean, np.float32)
    std = np.asarray(preprocessing.std, np.float32)
    return (pixels.astype(np.float32) - mean) / std


def shrink(image: Image.Image, short_side: int) -> Image.Image:
    """Scales `image` down to a short side of `short_side` pixels; a smaller one stays."""
    size = _shrunk(image.size, short_side)
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)


def shrink_classes(classes: np.ndarray, short_side: int) -> np.ndarray:
    """Scales int32 classes [H, W] down as `shrink` does their image; the nearest is taken."""
    height, width = classes.shape
    wide, high = _shrunk((width, height), short_side)
    return resize_classes(classes, high, wide)


def resize_classes(classes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scales int32 classes [H, W] to [height, width]; the nearest is taken."""
    image = Image.fromarray(np.asarray(classes, np.int32), "I")
    return np.asarray(image.resize((width, height), Image.Resampling.NEAREST), np.int32)


def _shrunk(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    scale = min(1.0, short_side / min(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def to_rgb(image: Image.Image, background: Colour) -> Image.Image:
    """Returns `image`, of whatever mode, as RGB with transparent pixels laid over `background`.

    One that is so already is returned itself. Raises UnreadableImageError for pixels whose black or
    white nobody knows: see `adapters.sample_depths`.
    """
    image = eight_bits(image)
    if not _is_opaque(image):
        ground = Image.new("RGBA", image.size, (*background, 255))
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """An image of 8 bits a sample, turned as the camera was held."""
    image = eight_bits(image)
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    return image


def _is_opaque(image: Image.Image) -> bool:
    return not image.has_transparency_data


def _formats(data: bytes) -> tuple[str, ...]:
    heic = image_kinds.kind_of(data[: image_kinds.LONGEST]) == image_kinds.HEIC
    return ("HEIF",) if heic and image_kinds.reads_heic() else FORMATS


def _unidentified(data: bytes) -> str:
    kind = image_kinds.kind_of(data[: image_kinds.LONGEST])
    if kind is None:
        return "it is no image of a kind that can be read."
    if kind in image_kinds.READ:
        return f"it begins as {kind}, but is damaged, or {kind} of a kind that cannot be read."
    return f"{image_kinds.why_not_read(kind)}."


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return value
