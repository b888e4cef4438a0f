"""Drawing characters of fonts. What is drawn here is called rendered wherever results are shown."""

import functools
import io

from PIL import Image, ImageDraw, ImageFont

LETTER_CANVAS, LETTER_SIZE, LETTER_BASELINE = 48, 32, 35  # pixels
ICON_CANVAS, ICON_SIZE = 64, 46  # pixels


def letter(font: bytes, character: str) -> Image.Image:
    """Returns `character` black on white, 48x48, standing on a fixed baseline."""
    image = Image.new("L", (LETTER_CANVAS, LETTER_CANVAS), 255)
    place = (LETTER_CANVAS / 2, LETTER_BASELINE)
    ImageDraw.Draw(image).text(place, character, 0, _loaded(font, LETTER_SIZE), anchor="ms")
    return image


def icon(font: bytes, character: str) -> Image.Image:
    """Returns `character` black on white, 64x64, the drawn part in the middle.

    A drawing too wide for the canvas is scaled down to fit.
    """
    loaded = _loaded(font, ICON_SIZE)
    left, top, right, bottom = loaded.getbbox(character)
    drawn = Image.new("L", (int(right - left), int(bottom - top)), 255)
    ImageDraw.Draw(drawn).text((-left, -top), character, 0, loaded)
    drawn.thumbnail((ICON_CANVAS, ICON_CANVAS))
    image = Image.new("L", (ICON_CANVAS, ICON_CANVAS), 255)
    image.paste(drawn, ((ICON_CANVAS - drawn.width) // 2, (ICON_CANVAS - drawn.height) // 2))
    return image


@functools.lru_cache(maxsize=4)
def _loaded(font: bytes, size: int) -> ImageFont.FreeTypeFont:
    # The basic layout engine is in every Pillow; the other one depends on the machine.
    return ImageFont.truetype(io.BytesIO(font), size, layout_engine=ImageFont.Layout.BASIC)
