"""Pictures whose pixels are numbers of segments, as COCO's panoptic annotations have them."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

NONE = 0  # the number of a pixel that is of no segment


def panoptic_png(numbers: npt.NDArray[Any]) -> bytes:
    """The file: red + 256 green + 256^2 blue is the number of a pixel's segment; `NONE` is none.

    Args:
      numbers: [H, W], from 0 to 256^3 - 1.
    """
    parts = [numbers // 256**power % 256 for power in range(3)]
    file = io.BytesIO()
    Image.fromarray(np.stack(parts, axis=-1).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def numbers_of(image: Image.Image) -> npt.NDArray[np.int64]:
    """The numbers [H, W] that such a picture tells."""
    return np.asarray(image.convert("RGB")).astype(np.int64) @ np.array([1, 256, 256**2])
