"""How training images vary: a random part of the image, sometimes mirrored."""

import dataclasses
import math

import numpy as np

from adapters import errors, preprocessing


class AugmentationError(errors.ModelPatchError):
    """Augmentation settings that cannot be drawn from."""


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Settings of `random_view`. `Augmentation(crop=(1, 1), aspect=(1, 1))` leaves images alone.

    crop: smallest and largest part of the image's area that is kept.
    aspect: smallest and largest factor by which the part's width to height ratio differs from the
      image's.
    flip: mirror left and right, half of the time; never for characters and signs.
    """

    crop: tuple[float, float] = (0.7, 1.0)
    aspect: tuple[float, float] = (0.85, 1.18)
    flip: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise AugmentationError(f"crop is {self.crop}; it must be 0 < least <= most <= 1.")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise AugmentationError(f"aspect is {self.aspect}; it must be 0 < least <= most.")


DEFAULT = Augmentation()


@dataclasses.dataclass(frozen=True)
class View:
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
