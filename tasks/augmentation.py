"""How training images vary: a random part, perhaps mirrored, in other colours, or distorted."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance

from adapters import errors, preprocessing


class AugmentationError(errors.ModelPatchError):
    """Augmentation settings that cannot be drawn from."""


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Settings of what is drawn; `Augmentation(crop=(1, 1), aspect=(1, 1))` leaves images alone.

    crop: smallest and largest part of the image's area that is kept.
    aspect: smallest and largest factor by which the part's width to height ratio differs from the
      image's.
    flip: mirror left and right, half of the time; never for characters and signs.
    colour: brightness, contrast and saturation change by factors from 1 - colour to 1 + colour.
    operation: one operation more of `tasks.trivial_augment`.
    """

    crop: tuple[float, float] = (0.7, 1.0)
    aspect: tuple[float, float] = (0.85, 1.18)
    flip: bool = False
    colour: float = 0.0
    operation: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise AugmentationError(f"crop is {self.crop}; it must be 0 < least <= most <= 1.")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise AugmentationError(f"aspect is {self.aspect}; it must be 0 < least <= most.")
        if not 0 <= self.colour < 1:
            raise AugmentationError(f"colour is {self.colour}; it must be from 0 to below 1.")


DEFAULT = Augmentation()

# What a run may make of its tasks' own augmentation.
POLICIES: dict[str, Callable[[Augmentation], Augmentation]] = {
    "task": lambda own: own,
    "none": lambda own: Augmentation(crop=(1.0, 1.0), aspect=(1.0, 1.0)),
    "wide": lambda own: dataclasses.replace(own, crop=(0.35, 1.0), aspect=(0.75, 1.33)),
    "colour": lambda own: dataclasses.replace(own, colour=0.3),
    "trivial_augment": lambda own: dataclasses.replace(own, operation=True),
}


class View(NamedTuple):
    """A part of an image, in pixels (left, top, right, bottom), and whether to mirror it."""

    box: preprocessing.Box
    mirrored: bool


def random_view(
    width: int, height: int, augmentation: Augmentation, rng: np.random.Generator
) -> View:
    """Draws a part of a `width` by `height` image, anywhere inside it.

    Area is uniform in `crop`, aspect log-uniform in `aspect`; a side that would leave the image is
    cut to it.
    """
    area = rng.uniform(*augmentation.crop)
    least, most = augmentation.aspect
    aspect = math.exp(rng.uniform(math.log(least), math.log(most)))
    wide = width * min(1.0, math.sqrt(area * aspect))
    high = height * min(1.0, math.sqrt(area / aspect))
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    mirrored = bool(rng.random() < 0.5) and augmentation.flip
    return View((left, top, left + wide, top + high), mirrored)


def recoloured(
    pixels: np.ndarray, augmentation: Augmentation, rng: np.random.Generator
) -> np.ndarray:
    """Changes brightness, then contrast, then saturation of uint8 pixels `[H, W, 3]`."""
    if not augmentation.colour:
        return pixels
    image = Image.fromarray(pixels)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = change(image).enhance(rng.uniform(1 - augmentation.colour, 1 + augmentation.colour))
    return np.asarray(image)
