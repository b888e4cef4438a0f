"""Crowns of trees in aerial photographs, to be found one by one.

Licence: MIT (the package deepforest; the photographs are of the National Ecological Observatory
  Network).
Sizes: two photographs of Yellowstone, of 2299 x 2472 and 1249 x 1035 pixels, with 574 and 279
  crowns drawn by hand, cut into tiles of 192 x 192. 432 tiles, half over one another, train, of the
  left of the first; 24 of its right validate; 30 of the other photograph, of another flight, test.
Command: launch/train --tasks=pocket_detection --size=192 --examples=8 --groups=1 --steps=3000
Expected: nothing is known yet.
"""

import xml.etree.ElementTree
from collections.abc import Iterator

import numpy as np

from adapters import carriers, preprocessing
from tasks import registry
from tasks.augmentation import Augmentation
from tasks.detectors import HEAD, SIDE
from tasks.layout import Carried, Example
from tasks.task import Task
from tasks.tiles import objects_in

DEEPFOREST = carriers.Carrier(
    registry="pip",
    package="deepforest",
    version="2.1.0",
    filename="deepforest-2.1.0-py3-none-any.whl",
    sha256="8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54",
    licence="MIT",
    contents="aerial photographs of trees, with boxes",
)
FIRST = "2019_YELL_2_528000_4978000_image_crop2"
OTHER = "2019_YELL_2_541000_4977000_image_crop"
PARTS = {  # photograph, columns, and how far tiles are apart
    "train": (FIRST, (0, 1824), SIDE // 2),
    "validation": (FIRST, (1872, 2256), SIDE),
    "test": (OTHER, (0, 1249), SIDE),
}
_FOLDER = "deepforest/data/"


def examples() -> Iterator[Example]:
    """Yields the tiles."""
    wheel = carriers.fetch(DEEPFOREST)
    for split, (name, (begin, end), step) in PARTS.items():
        image = preprocessing.decode(carriers.read_member(wheel, f"{_FOLDER}{name}.png"))
        boxes = crowns(carriers.read_member(wheel, f"{_FOLDER}{name}.xml"))
        for left in range(begin, end - SIDE + 1, step):
            for top in range(0, image.height - SIDE + 1, step):
                tile = image.crop((left, top, left + SIDE, top + SIDE))
                found = objects_in(boxes, [0] * len(boxes), left, top, SIDE)
                yield Example(split, f"{split}-{top}-{left}", tile, found)


def crowns(annotations: bytes) -> np.ndarray:
    """Boxes [n, 4] in pixels of Pascal VOC's XML, whose first pixel is 1."""
    sides = ("xmin", "ymin", "xmax", "ymax")
    rows = [
        [float(box.findtext(side) or 0) for side in sides]
        for box in xml.etree.ElementTree.fromstring(annotations).iter("bndbox")
    ]
    return np.array(rows) - [1, 1, 0, 0]


registry.register(
    Task(
        name="tree_crowns",
        source=Carried(examples, short_side=SIDE),
        labels=("tree",),
        description=__doc__,
        expected=(0.0, 1.0),
        augmentation=Augmentation(crop=(0.5, 1.0), flip=True),
        head=HEAD,
    )
)
