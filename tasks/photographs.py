"""Photographs without the objects of any task, to paste cut-outs on."""

import io

import numpy as np
from PIL import Image

from adapters import carriers, preprocessing
from tasks.textures import SCIKIT_IMAGE

BACKGROUNDS = carriers.Carrier(
    registry="apt",
    package="mate-backgrounds",
    version="1.26.0-1",
    filename="mate-backgrounds_1.26.0-1_all.deb",
    sha256="7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
    licence="GPL-2+",
    contents="photographs of nature",
)
NATURE = ("Aqua", "Blinds", "Dune", "GreenMeadow", "RainDrops", "Storm", "Wood")
OTHERS = (
    *("brick.png", "camera.png", "cell.png", "coffee.png", "grass.png", "gravel.png"),
    *("hubble_deep_field.jpg", "ihc.png", "moon.png", "retina.jpg"),
)
SHORT_SIDE = 480  # pixels


def photographs() -> list[Image.Image]:
    """Seven of nature and ten others, in RGB; none with flowers, animals, vehicles or writing."""
    package, wheel = carriers.fetch(BACKGROUNDS), carriers.fetch(SCIKIT_IMAGE)
    folder = "usr/share/backgrounds/mate/nature/"
    nature = dict(carriers.iterate_members(package, folder, ".jpg"))
    files = [nature[f"{folder}{name}.jpg"] for name in NATURE]
    files += [carriers.read_member(wheel, f"skimage/data/{name}") for name in OTHERS]
    found = [preprocessing.decode(data, shrink_to=SHORT_SIDE) for data in files]
    return found


def cutting(photograph: Image.Image, side: int, generator: np.random.Generator) -> Image.Image:
    """A random square of a photograph, `side` pixels wide, perhaps mirrored."""
    least = min(photograph.size)
    wide = int(generator.integers(min(side, least), least + 1))
    left, top = (int(generator.integers(0, length - wide + 1)) for length in photograph.size)
    box = (left, top, left + wide, top + wide)
    made = photograph.resize((side, side), Image.Resampling.BILINEAR, box)
    if generator.random() < 0.5:
        made = made.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return made


def rgba(data: bytes) -> Image.Image:
    """A cut-out, with what is transparent."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as opened:
        return opened.convert("RGBA")
