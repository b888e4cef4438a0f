"""Pictures whose pixels are numbers of labels: PNG with a palette."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters.errors import ModelPatchError

COLOURS = (
    *((230, 60, 60), (30, 110, 230), (20, 160, 80), (240, 160, 0), (150, 60, 200)),
    *((0, 170, 190), (230, 70, 170), (120, 120, 0)),
)
"""Of labels, by their numbers; after the last come the first again."""

NOWHERE = 255  # the number of a pixel that has no label, as in PASCAL VOC
_BESIDE = (224, 224, 224)


class TooManyLabelsError(ModelPatchError):
    """More labels than a byte has numbers for."""


def indexed_png(mask: npt.NDArray[np.int32], labels: int) -> bytes:
    """The file: each pixel is the number of its label, or `NOWHERE`.

    Args:
      mask: [H, W], -1 where there is no label.
      labels: how many there are.

    Raises TooManyLabelsError.
    """
    if labels > NOWHERE:
        raise TooManyLabelsError(
            f"there are {labels} labels; an indexed PNG tells {NOWHERE} apart: ask for JSON."
        )
    image = Image.fromarray(np.where(mask < 0, NOWHERE, mask).astype(np.uint8), "P")
    colours = [COLOURS[number % len(COLOURS)] for number in range(NOWHERE)]
    image.putpalette([value for colour in (*colours, _BESIDE) for value in colour])
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
