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
    *before, h, w, channels = maps.shape
    if (h, w) == (height, width):
        return maps
    rows = interpolation(h, height) @ maps.reshape(*before, h, w * channels)
    return interpolation(w, width) @ rows.reshape(*before, height, w, channels)


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
