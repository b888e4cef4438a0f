"""Boxes drawn on their image, each in the colour of its label."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from adapters.indexed_png import COLOURS

PAPER = (255, 255, 255)


def framed(
    image: Image.Image,
    boxes: npt.ArrayLike,
    classes: npt.ArrayLike,
    said: Sequence[str] = (),
    width: int = 1,
) -> Image.Image:
    """A copy of an RGB image with frames in it.

    Args:
      image: of any size.
      boxes: [n, 4], left, top, right and bottom in parts of the image's sides.
      classes: [n], the number of each one's label.
      said: what is written beside each; nothing, by default.
      width: of the lines, pixels.
    """
    drawn = image.copy()
    high = max(10, 5 * width + 5)  # letters
    draw, font = ImageDraw.Draw(drawn), ImageFont.load_default(high)
    sides = np.tile(image.size, 2)
    corners = np.reshape(np.asarray(boxes, np.float64), (-1, 4)) * sides
    numbers = np.asarray(classes, np.int64).ravel()
    for index in reversed(range(len(corners))):  # the surest are drawn last
        colour = COLOURS[numbers[index] % len(COLOURS)]
        left, top, right, bottom = corners[index].round().astype(int).tolist()
        draw.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), None, colour, width)
        if said:
            place = (left + width, max(top - high - 2, 0))
            draw.rectangle(draw.textbbox(place, said[index], font), colour)
            draw.text(place, said[index], PAPER, font)
    return drawn
