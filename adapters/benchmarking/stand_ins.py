"""Weights and images of the right shapes: a benchmark needs no trained values."""

import math
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters.backbones.builder import expected_shapes
from adapters.backbones.table import LayerTable
from adapters.backbones.taps import channels
from adapters.heads.contract import Head

Array = npt.NDArray[Any]

IMAGES_A_CLASS, IMAGE_SIDE = 100, 256  # pixels
_CONSTANTS = {"scale": 1.0, "offset": 0.0, "mean": 0.0, "var": 1.0, "b": 0.0, "gain": 1.0}


def weights(table: LayerTable) -> dict[str, dict[str, Array]]:
    """Kernels that keep the size of activations (He et al., arXiv 1502.01852), norms that are the
    identity; made without compiling anything.
    """
    generator = np.random.default_rng(0)

    def leaf(name: str, shape: tuple[int, ...]) -> Array:
        if name in _CONSTANTS:
            return np.full(shape, _CONSTANTS[name], np.float32)
        deviation = math.sqrt(2 / math.prod(shape[:-1]))
        return deviation * generator.standard_normal(shape, np.float32)

    return {
        path: {name: leaf(name, shape) for name, shape in leaves.items()}
        for path, leaves in expected_shapes(table).items()
    }


def head(features: int, classes: int) -> dict[str, Array]:
    """One task's head: `w` [features, classes] and `b` [classes]."""
    scale = np.float32(features**-0.5)
    kernel = np.random.default_rng(0).standard_normal((features, classes), np.float32)
    return {"w": scale * kernel, "b": np.zeros(classes, np.float32)}


def head_of(
    kind: Head, table: LayerTable, classes: int, generator: np.random.Generator
) -> dict[str, Array]:
    """A head of any kind, of so many classes."""
    shapes = kind.shapes({name: channels(table, name) for name in kind.taps}, classes)
    return {
        leaf: np.float32(math.prod(shape[:-1]) ** -0.5)
        * generator.standard_normal(shape, np.float32)
        for leaf, shape in shapes.items()
    }


def pixels(groups: int, examples: int, size: int) -> Array:
    """Noise [groups, examples, size, size, 3] uint8."""
    shape = (groups, examples, size, size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def write_images(folder: pathlib.Path) -> None:
    """Two classes of JPEG files of coarse noise, which takes as long to decode as photographs."""
    generator = np.random.default_rng(0)
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for number in range(IMAGES_A_CLASS):
            coarse = generator.integers(0, 256, (IMAGE_SIDE // 8, IMAGE_SIDE // 8, 3), np.uint8)
            image = Image.fromarray(coarse).resize(
                (IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BICUBIC
            )
            image.save(folder / label / f"{number:03d}.jpg", quality=90)
