"""What a COCO file says of images: their boxes and classes, and all that it says wrong.

Lin et al., "Microsoft COCO", arXiv 1405.0312; the format is described at cocodataset.org. Boxes are
`[x, y, width, height]` in pixels. Nothing is opened but the file itself.
"""

import collections
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.heads.contract import MOST_OBJECTS
from tasks.coco_document import (
    category_fault,
    known_annotations,
    listed_images,
    nothing_left,
    read_categories,
    read_document,
)

LEAST_SIDE = 1.0  # pixels: what is smaller is no object that can be found
SLACK = 1.0  # pixels that a box may reach over the edge: tools round

NO_OBJECTS = "no objects"
CUT = "boxes that reach over the edge of their image, cut there"
USED = (NO_OBJECTS, CUT)
"""What is odd, and used all the same."""


class AnnotatedImage(NamedTuple):
    """An image and the objects in it.

    Attributes:
      name: of its file, below the folder of images.
      width, height: as the file of annotations has them; 0 where it says nothing.
      boxes: [n, 4], left, top, right, bottom in pixels.
      labels: [n], numbers of the labels.
    """

    name: str
    width: int
    height: int
    boxes: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]


class Annotations(NamedTuple):
    """What a file of annotations holds.

    Attributes:
      labels: names of its categories, in the order of their numbers.
      images: in the order of their names.
      found: {what is odd: names}, of what is left out, and of what is used in another form.
    """

    labels: tuple[str, ...]
    images: tuple[AnnotatedImage, ...]
    found: Mapping[str, Sequence[str]]


def read(path: pathlib.Path) -> Annotations:
    """Reads a file of annotations.

    Raises FolderError for one that cannot be read, or has no images, no categories, two of one
    number or name, or not one object.
    """
    document = read_document(path)
    categories = read_categories(path, document["categories"])
    found: dict[str, list[str]] = collections.defaultdict(list)
    images = listed_images(document["images"], found)
    boxes: dict[Any, list[tuple[list[float], int]]] = {key: [] for key in images}
    numbers = {key: place for place, key in enumerate(categories)}
    for key, said, entry in known_annotations(document["annotations"], images, found):
        _, width, height = images[key]
        fault, box = _box(entry, numbers, width, height)
        if fault:
            found[fault].append(said)
        if box is not None:
            boxes[key].append((box, numbers[entry["category_id"]]))
    made = []
    for key, (name, width, height) in images.items():
        own = boxes[key]
        if len(own) > MOST_OBJECTS:
            found[f"more than {MOST_OBJECTS} objects"].append(name)
            continue
        if not own:
            found[NO_OBJECTS].append(name)
        rows = np.array([box for box, _ in own], np.float64).reshape(-1, 4)
        labels = np.array([label for _, label in own], np.int64)
        made.append(AnnotatedImage(name, width, height, rows, labels))
    if not any(len(image.boxes) for image in made):
        raise nothing_left(path, found)
    made.sort(key=lambda image: image.name)
    return Annotations(tuple(categories.values()), tuple(made), dict(found))


def _box(
    entry: Mapping[str, Any], categories: Mapping[Any, int], width: int, height: int
) -> tuple[str, list[float] | None]:
    """What is odd about an annotation, "" if nothing is, and its box, None if it has none."""
    if fault := category_fault(entry, categories):
        return fault, None
    if entry.get("iscrowd"):
        return "crowds", None
    given = entry.get("bbox")
    if not (
        isinstance(given, list)
        and len(given) == 4
        and all(type(value) in (int, float) and math.isfinite(value) for value in given)
    ):
        return "annotations without a box of four numbers", None
    left, top, wide, high = given
    if wide < LEAST_SIDE or high < LEAST_SIDE:
        return "boxes of no area", None
    box = [left, top, left + wide, top + high]
    if not (width and height):
        return "", box  # told where the image is opened
    return cut(box, width, height)


def cut(box: Sequence[float], width: int, height: int) -> tuple[str, list[float] | None]:
    """What of a box lies in an image, and what is odd about it; see `_box`."""
    left, top, right, bottom = (
        min(max(value, 0.0), float(most))
        for value, most in zip(box, (width, height, width, height), strict=True)
    )
    if right - left < LEAST_SIDE or bottom - top < LEAST_SIDE:
        return "boxes outside their image", None
    over = max(-box[0], -box[1], box[2] - width, box[3] - height)
    return CUT if over > SLACK else "", [left, top, right, bottom]
