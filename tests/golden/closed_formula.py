"""Weights and images that any program can write down again from a name and a shape.

Integer hashing alone makes them, so every machine gets the same bits and none need be stored.
"""

import hashlib
import math
import zlib
from collections.abc import Mapping

import numpy as np


def noise(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [-1, 1) as float32: murmur3's finaliser over element numbers, seeded by `name`."""
    x = np.arange(math.prod(shape), dtype=np.uint32) + np.uint32(zlib.crc32(name.encode()))
    x ^= x >> 16
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> 13
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> 16
    return ((x >> 8) / 2.0**23 - 1.0).astype(np.float32).reshape(shape)


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A weight called `name` in Keras or PyTorch, of a size that keeps activations near 1."""
    values = noise(name, shape)
    leaf = name.replace("/", ".").rpartition(".")[2]
    if leaf in ("moving_variance", "running_var"):
        return 1 + 0.5 * values
    if name.endswith("layer_scale.gamma"):  # larger ones make attention pick single pixels
        return 0.25 * (1 + 0.2 * values)
    if leaf == "gamma" or (leaf == "weight" and len(shape) == 1):
        return 1 + 0.2 * values
    if len(shape) == 1:
        return 0.1 * values
    return values * np.float32(math.sqrt(6 / _fan_in(name, shape)))


def _fan_in(name: str, shape: tuple[int, ...]) -> int:
    if not name.endswith("/kernel"):
        return math.prod(shape[1:])  # PyTorch: outputs first
    depthwise = len(shape) == 4 and shape[3] == 1
    return math.prod(shape[:2]) if depthwise else math.prod(shape[:-1])


def image(size: int) -> np.ndarray:
    """[size, size, 3] in [-1, 1)."""
    return noise(f"image {size}", (size, size, 3))


def digest(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """A hash over all names and shapes of a checkpoint."""
    lines = sorted(f"{name} {list(shape)}" for name, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def subset(values: np.ndarray) -> np.ndarray:
    """Ten elements of an array, spread over all of it: an odd step meets every axis."""
    flat = values.ravel()
    return flat[:: flat.size // 10 | 1][:10]
