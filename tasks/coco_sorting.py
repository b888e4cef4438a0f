"""Which of the images of a COCO file are used, in which split, and why others are not."""

import collections
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from tasks import coco_annotations
from tasks.coco_annotations import MARK, AnnotatedImage, Annotations
from tasks.copies import find_copies, joined
from tasks.cutting import UNCHANGED, Cut, cut_groups, needed
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory, count
from tasks.listing import FolderError, ListedImage
from tasks.looks import alike
from tasks.objects import WIDTH

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
    facts = files.facts([one.file for one in boxed])
    unreadable = set()
    readable = []
    for place, known in enumerate(facts):
        if known.fault:
            unreadable.add(known.fault.rstrip("."))
            left_out[known.fault.rstrip(".")].append(boxed[place].file.name)
        else:
            readable.append(place)
    copies = find_copies(
        [facts[place].digest for place in readable],
        [boxed[place].objects.tobytes() for place in readable],
    )

    def names(groups: Sequence[Sequence[int]]) -> list[list[str]]:
        return [[boxed[readable[number]].file.name for number in own] for own in groups]

    kept = [readable[number] for number in copies.kept]
    pairs = alike([facts[place].look for place in kept])
    groups = joined(kept, [(kept[one], kept[other]) for one, other in pairs])
    if len(groups) < len(how.splits):
        groups = [[place] for place in kept]
    if len(groups) < len(how.splits):
        raise FolderError(
            f"{folder} has {count(len(groups), 'different image')} that can be used, and needs "
            f"{needed(how.splits)}. Of others: "
            f"{', '.join(f'{len(own)} {why}' for why, own in left_out.items()) or 'nothing'}."
        )
    cut = cut_groups(groups, lambda place: how.key(boxed[place].file.name), how.fractions)
    found = {split: [boxed[place] for place in cut[split]] for split in how.splits}
    used = {boxed[place].file.name for place in kept}
    noted = {
        why: [name for name in read.found.get(why, ()) if name.partition(MARK)[0] in used]
        for why in coco_annotations.USED
    }
    labels = [read.labels[number] for number in numbers]
    inventory = Inventory(
        used={split: _counts(own, labels) for split, own in found.items()},
        left_out=dict(left_out),
        unreadable=frozenset(unreadable),
        copies=names(copies.copies),
        contradictions=names(copies.contradictions),
        alike=[[boxed[place].file.name for place in own] for own in groups if len(own) > 1],
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
        width, height = _size(path)
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


def _size(path: pathlib.Path) -> tuple[int, int]:
    """Width and height of an image as it is seen: turned as the camera was held."""
    with Image.open(path) as opened:
        width, height = opened.size
        turned = opened.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (height, width) if turned else (width, height)


def _counts(images: Sequence[BoxedImage], labels: Sequence[str]) -> dict[str, int]:
    found = [int(row[4]) for own in images for row in own.objects]
    return {label: found.count(number) for number, label in enumerate(labels)}
