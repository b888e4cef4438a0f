"""Images and their names in the cells of a picture."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFont

PAPER, MAT, INK = (232, 234, 238), (206, 210, 217), (20, 20, 20)


def mounted(pixels: npt.NDArray[np.uint8], cell: int) -> Image.Image:
    """The whole image [H, W, 3], as large as a cell allows; small ones keep their hard edges.

    `cell` is the side of the cell, in pixels.
    """
    image = Image.fromarray(pixels)
    scale = cell / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    mount = Image.new("RGB", (cell, cell), MAT)
    mount.paste(image.resize(size, how), ((cell - size[0]) // 2, (cell - size[1]) // 2))
    return mount


def shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, most: float) -> str:
    """The text, with its end left out where it would be longer than `most` pixels."""
    while font.getlength(text) > most:
        text = text.removesuffix("\u2026")[:-1] + "\u2026"
    return text
