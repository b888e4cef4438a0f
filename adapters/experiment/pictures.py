"""What may be given as an image, and the image that it is."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters import files
from adapters.errors import ModelPatchError
from adapters.preprocessing import UnreadableImageError, decode, upright

Picture = npt.NDArray[np.uint8] | str | os.PathLike[str] | bytes | Image.Image
"""Pixels [H, W, 3], the path of an image file, its bytes, or an image that Pillow has opened."""


class PictureError(ModelPatchError):
    """Something given as an image is none."""


def listed(images: Picture | Sequence[Picture]) -> Sequence[Picture]:
    """One image or many, as a sequence. Raises PictureError for what is neither."""
    if isinstance(images, np.ndarray):
        return list(images) if images.ndim == 4 else [images]
    if isinstance(images, str | os.PathLike | bytes | Image.Image):
        return [images]
    if isinstance(images, Mapping) or not isinstance(images, Iterable):
        raise PictureError(
            f"{type(images).__name__} is no image, nor a list of images; give uint8 pixels "
            "[N, H, W, 3], paths, bytes or Pillow images, and anything else as `inputs`."
        )
    return list(images)


def picture(image: Picture, background: tuple[int, int, int]) -> Image.Image:
    """An image as it is seen, upright and in RGB. Raises PictureError."""
    if isinstance(image, np.ndarray):
        _check_pixels(image)
        return Image.fromarray(image)
    try:
        if isinstance(image, Image.Image):
            return upright(image, background)
        if isinstance(image, bytes):
            return decode(image, background)
        return decode(files.read_regular(image), background)
    except (OSError, UnreadableImageError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        name = f"{image}: " if isinstance(image, str | os.PathLike) else "an image: "
        raise PictureError(f"{name}{said}") from error
    except TypeError as error:
        raise PictureError(
            f"{type(image).__name__} is no image; give uint8 pixels, paths, bytes or Pillow images."
        ) from error


def _check_pixels(image: npt.NDArray[Any]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise PictureError(
            f"an image is {image.dtype} {list(image.shape)}; give uint8 [N, H, W, 3] in RGB, or "
            "paths, bytes or Pillow images."
        )
