"""Which of several maps is the highest at each pixel of a picture."""

from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.resizing import interpolation_at
from adapters.view import View

_BAND = 64  # rows of pixels that are computed at once


def surest(maps: npt.NDArray[Any], view: View) -> npt.NDArray[np.int32]:
    """The number of the highest map at each pixel of the picture, [H, W]; -1 where none was seen.

    Args:
      maps: [h, w, maps], of the network's image, coarser than the picture.
      view: how the network saw the picture.
    """
    h, w, count = maps.shape
    across = interpolation_at(w, view.columns() * w)
    wide = np.swapaxes(np.tensordot(across, maps, (1, 1)), 0, 1).reshape(h, -1)
    found = np.empty((view.height, view.width), np.int32)
    for start in range(0, view.height, _BAND):  # a photograph's maps would fill the memory
        part = slice(start, start + _BAND)
        rows = interpolation_at(h, view.rows()[part] * h) @ wide
        found[part] = rows.reshape(-1, view.width, count).argmax(axis=-1)
    for places, pixels in ((view.rows(), found), (view.columns(), found.T)):
        pixels[(places < 0) | (places > 1)] = -1
    return found
