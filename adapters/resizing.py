"""Maps of another size: bilinear, with the centres of pixels where they are (half-pixel centres).

Two matrix products, so that NumPy, JAX and every exported graph give the same numbers.
"""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt


def resized(maps: Any, height: int, width: int) -> Any:
    """Maps [..., h, w, C] as [..., height, width, C]. NumPy gives NumPy, JAX gives JAX.

    >>> resized(np.array([[[0.0], [4.0]]], np.float32), 1, 4).ravel()
    array([0., 1., 3., 4.], dtype=float32)
    """
    h, w = maps.shape[-3:-1]
    if (h, w) == (height, width):
        return maps
    return transformed(maps, interpolation(h, height), interpolation(w, width))


def averaged(maps: Any, cells: int) -> Any:
    """Means of [..., h, w, C] over `cells` x `cells` windows of equal size, [..., n, n, C].

    A side shorter than that stays as it is. NumPy gives NumPy, JAX gives JAX.

    >>> averaged(np.arange(5, dtype=np.float32).reshape(1, 5, 1), 2).ravel()
    array([1., 3.], dtype=float32)
    """
    h, w = maps.shape[-3:-1]
    return transformed(maps, windows(h, min(cells, h)), windows(w, min(cells, w)))


def transformed(maps: Any, down: npt.NDArray[np.float32], across: npt.NDArray[np.float32]) -> Any:
    """Maps [..., h, w, C] as [..., H, W, C], by matrices [H, h] and [W, w]."""
    *before, h, w, channels = maps.shape
    rows = down.astype(maps.dtype) @ maps.reshape(*before, h, w * channels)
    return across.astype(maps.dtype) @ rows.reshape(*before, len(down), w, channels)


@functools.cache
def windows(source: int, cells: int) -> npt.NDArray[np.float32]:
    """What the mean over each of `cells` windows takes of each of `source` pixels: [cells, source].

    They are source // cells apart, and wider by what that leaves: they overlap where it does not
    divide, as in tensorflow/models (official/projects/mosaic).
    """
    stride, more = divmod(source, cells)
    places = np.arange(source) - stride * np.arange(cells)[:, None]
    width = stride + more
    return np.where((places >= 0) & (places < width), 1 / width, 0).astype(np.float32)


@functools.cache
def interpolation(source: int, target: int) -> npt.NDArray[np.float32]:
    """What each of `target` pixels in a line takes of each of `source`: [target, source].

    Beyond the centres of the first and last pixel their values go on.
    """
    return interpolation_at(source, (np.arange(target) + 0.5) * source / target)


def interpolation_at(source: int, places: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """What each of `places` takes of each of `source` pixels: [places, source].

    Args:
      source: pixels in a line.
      places: in widths of these pixels, from the line's beginning.
    """
    centres = np.clip(places - 0.5, 0, source - 1)
    before = np.floor(centres).astype(int)
    after = np.minimum(before + 1, source - 1)
    share = centres - before
    weights = np.zeros((len(places), source))
    np.add.at(weights, (np.arange(len(places)), before), 1 - share)
    np.add.at(weights, (np.arange(len(places)), after), share)
    return weights.astype(np.float32)
