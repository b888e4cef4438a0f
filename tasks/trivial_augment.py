"""TrivialAugment: one operation an image, drawn with its strength, and nothing to tune.

Mueller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", arXiv
2103.10158, algorithm 1. It draws from AutoAugment's operations (Cubuk et al., arXiv 1805.09501)
without searching for a policy. Their set and their strongest settings, of the paper's "RA" space,
are given from memory; what an operation does to pixels is Pillow's.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

STRENGTHS = 31  # from none to the strongest, evenly spaced

Operation = Callable[[Image.Image, float], Image.Image]


def one_operation(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns uint8 pixels `[H, W, 3]` after one of `OPERATIONS`, either way where it has two."""
    operation = OPERATIONS[rng.integers(len(OPERATIONS))]
    strength = rng.integers(STRENGTHS) / (STRENGTHS - 1)
    signed = strength if rng.random() < 0.5 else -strength
    return np.asarray(operation(Image.fromarray(pixels), float(signed)))


def _enhanced(enhance: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return lambda image, signed: enhance(image).enhance(1 + 0.9 * signed)


def _moved(matrix: Callable[[float, int, int], tuple[float, ...]]) -> Operation:
    def operation(image: Image.Image, signed: float) -> Image.Image:
        coefficients = matrix(signed, *image.size)
        return image.transform(image.size, Image.Transform.AFFINE, coefficients)

    return operation


def _sheared_across(signed: float, width: int, height: int) -> tuple[float, ...]:
    del width
    shear = 0.3 * signed
    return (1, shear, -shear * height / 2, 0, 1, 0)


def _sheared_down(signed: float, width: int, height: int) -> tuple[float, ...]:
    del height
    shear = 0.3 * signed
    return (1, 0, 0, shear, 1, -shear * width / 2)


# Of each, what a strength from -1 to 1 makes of an image; 0 leaves it alone but for the last two.
OPERATIONS: tuple[Operation, ...] = (
    lambda image, signed: image,
    _moved(_sheared_across),
    _moved(_sheared_down),
    _moved(lambda signed, width, height: (1, 0, round(0.3 * signed * width), 0, 1, 0)),
    _moved(lambda signed, width, height: (1, 0, 0, 0, 1, round(0.3 * signed * height))),
    lambda image, signed: image.rotate(30 * signed),
    _enhanced(ImageEnhance.Brightness),
    _enhanced(ImageEnhance.Color),
    _enhanced(ImageEnhance.Contrast),
    _enhanced(ImageEnhance.Sharpness),
    lambda image, signed: ImageOps.posterize(image, 8 - round(4 * abs(signed))),
    lambda image, signed: ImageOps.solarize(image, round(256 * (1 - abs(signed)))),
    lambda image, signed: ImageOps.autocontrast(image),
    lambda image, signed: ImageOps.equalize(image),
)
