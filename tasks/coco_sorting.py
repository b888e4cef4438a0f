"""Which of the images of a COCO file are used, in which split, and why others are not."""

import collections
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks import coco_annotations
from tasks.coco_annotations import MARK, AnnotatedImage, Annotations
from tasks.cutting import UNCHANGED, Cut
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory
from tasks.listing import ListedImage
from tasks.objects import WIDTH
from tasks.whole_images import cut_images, seen_size

Array = npt.NDArray[np.float32]


class BoxedImage(NamedTuple):
    """An image file of `width` x `height` pixels, and its objects [n, 5] in parts of its sides."""

    file: ListedImage
    objects: Array
    width: int
    height: int


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
    """
    left_out: dict[str, list[str]] = collections.defaultdict(list)
    for why, where in read.found.items():
        if why not in coco_annotations.USED:
            left_out[why] = list(where)
    boxed = []
    for image in read.images:
        fault, one = _boxed(folder, image, numbers)
        if fault:
            left_out[fault].append(image.name)
        if one is not None:
            boxed.append(one)
    cut = cut_images(
        folder,
        [one.file for one in boxed],
        [one.objects.tobytes() for one in boxed],
        files,
        how,
        left_out,
    )
    found = {split: [boxed[place] for place in own] for split, own in cut.splits.items()}
    used = {boxed[place].file.name for place in cut.used}
    noted = {
        why: [name for name in read.found.get(why, ()) if name.partition(MARK)[0] in used]
        for why in coco_annotations.USED
    }
    labels = [read.labels[number] for number in numbers]
    inventory = Inventory(
        used={split: _counts(own, labels) for split, own in found.items()},
        left_out={**left_out, **cut.faults},
        unreadable=frozenset(cut.faults),
        copies=cut.copies,
        contradictions=cut.contradictions,
        alike=cut.alike,
        noted={why: where for why, where in noted.items() if where},
        counted="objects",
    )
    return found, inventory


def _boxed(
    folder: pathlib.Path, image: AnnotatedImage, numbers: Sequence[int]
) -> tuple[str, BoxedImage | None]:
    """An image with its objects in parts of its sides, or why it is left out."""
    path = folder / image.name
    try:
        state = path.stat()
        width, height = seen_size(path)
    except FileNotFoundError:
        return "images that are not there", None
    except OSError as error:
        # Pillow's, of a file that is no image, has no number of the system's.
        return f"images that cannot be opened ({error.strerror or 'no image'})", None
    if (image.width, image.height) not in ((width, height), (0, 0)):
        return "images of another size than is said of them", None
    rows = []
    for box, label in zip(image.boxes, image.labels, strict=True):
        _, inside = coco_annotations.cut(box.tolist(), width, height)
        if inside is not None:
            parts = np.array(inside) / [width, height, width, height]
            rows.append([*np.clip(parts, 0, 1), numbers.index(int(label))])
    objects = np.array(rows, np.float32).reshape(-1, WIDTH)
    same = state.st_size, state.st_mtime_ns, state.st_ino
    return "", BoxedImage(ListedImage(path, image.name, None, "", same), objects, width, height)


def _counts(images: Sequence[BoxedImage], labels: Sequence[str]) -> dict[str, int]:
    found = [int(row[4]) for own in images for row in own.objects]
    return {label: found.count(number) for number, label in enumerate(labels)}
