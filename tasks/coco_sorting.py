"""Which of the images of a COCO file are used, in which split, and why others are not."""

import collections
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks import coco_annotations
from tasks.coco_annotations import AnnotatedImage, Annotations
from tasks.coco_document import check_size, noted
from tasks.cutting import UNCHANGED, Cut
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory
from tasks.left_out import LeftOutError, seen
from tasks.listing import ListedImage
from tasks.objects import WIDTH
from tasks.whole_images import cut_images

Array = npt.NDArray[np.float32]


class BoxedImage(NamedTuple):
    """An image file of the shape (H, W), and its objects [n, 5] in parts of its sides."""

    file: ListedImage
    shape: tuple[int, int]
    objects: Array

    @property
    def said(self) -> bytes:
        """The objects."""
        return self.objects.tobytes()


def sort(
    folder: pathlib.Path,
    read: Annotations,
    numbers: Sequence[int],
    files: ImageFiles,
    how: Cut = UNCHANGED,
) -> tuple[dict[str, list[BoxedImage]], Inventory]:
    """The images of each split, and what was found.

    Args:
      folder: of the images.
      read: what is said of them.
      numbers: those of the labels that are used, in order.
      files: reads the images.
      how: they are cut.

    Raises FolderError.
    """
    left_out: dict[str, list[str]] = collections.defaultdict(list)
    for why, where in read.found.items():
        if why not in coco_annotations.USED:
            left_out[why] = list(where)
    boxed = []
    for image in read.images:
        try:
            boxed.append(_boxed(folder, image, numbers))
        except LeftOutError as error:
            left_out[str(error)].append(error.named(image.name))
    labels = [read.labels[number] for number in numbers]
    found, inventory = cut_images(
        folder, boxed, files, how, left_out, lambda own: _counts(own, labels), "objects"
    )
    odd = {why: read.found.get(why, ()) for why in coco_annotations.USED}
    return found, dataclasses.replace(inventory, noted=noted(odd, found))


def _boxed(folder: pathlib.Path, image: AnnotatedImage, numbers: Sequence[int]) -> BoxedImage:
    """An image with its objects in parts of its sides. Raises LeftOutError."""
    file, (height, width) = seen(folder / image.name, image.name)
    check_size((image.width, image.height), (width, height))
    rows = []
    for box, label in zip(image.boxes, image.labels, strict=True):
        _, inside = coco_annotations.cut(box.tolist(), width, height)
        if inside is not None:
            parts = np.array(inside) / [width, height, width, height]
            rows.append([*np.clip(parts, 0, 1), numbers.index(int(label))])
    objects = np.array(rows, np.float32).reshape(-1, WIDTH)
    return BoxedImage(file, (height, width), objects)


def _counts(images: Sequence[BoxedImage], labels: Sequence[str]) -> dict[str, int]:
    found = [int(row[4]) for own in images for row in own.objects]
    return {label: found.count(number) for number, label in enumerate(labels)}
