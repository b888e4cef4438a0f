"""Which images of a folder have a mask that is theirs, in which split, and why others do not."""

import collections
import hashlib
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks import mask_files
from tasks.cutting import UNCHANGED, Cut
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory
from tasks.left_out import LeftOutError, check_shape, seen
from tasks.listing import ListedImage, images_below, shown
from tasks.mask_files import Classes, read_mask
from tasks.whole_images import cut_images


class MaskedImage(NamedTuple):
    """An image file and its mask.

    Attributes:
      file: the image.
      shape: (H, W) of both.
      mask: the file of its mask.
      said: a digest of the mask's classes.
      classes: numbers of those that some pixel has.
    """

    file: ListedImage
    shape: tuple[int, int]
    mask: pathlib.Path
    said: bytes
    classes: tuple[int, ...]


def sort(
    folder: pathlib.Path,
    masks: pathlib.Path,
    labels: Sequence[str],
    classes: Classes,
    files: ImageFiles,
    how: Cut = UNCHANGED,
) -> tuple[dict[str, list[MaskedImage]], Inventory]:
    """The images of each split, and what was found.

    Args:
      folder: of the images.
      masks: folder of their masks, which may be the same.
      labels: of the classes.
      classes: how masks are read.
      files: reads the images.
      how: they are cut.

    Raises FolderError.
    """
    left_out: dict[str, list[str]] = collections.defaultdict(list)
    masked: list[MaskedImage] = []
    expected: dict[pathlib.Path, str] = {}
    all_masks = {path for path in images_below(masks) if path.suffix == mask_files.ENDING}
    for path in images_below(folder):
        if path in all_masks:
            continue
        name = shown(path, folder)
        mask = masks / path.relative_to(folder).with_suffix(mask_files.ENDING)
        if mask in expected:
            left_out["images whose mask is another's too"].append(name)
            continue
        expected[mask] = name
        try:
            masked.append(_masked(path, name, mask, classes))
        except LeftOutError as error:
            left_out[str(error)].append(error.named(name))
    if others := sorted(shown(path, masks) for path in all_masks - expected.keys()):
        left_out["masks without an image"] = others
    return cut_images(
        folder,
        masked,
        files,
        how,
        left_out,
        lambda own: _counts(own, labels),
        "regions, one a class and image",
    )


def _masked(path: pathlib.Path, name: str, mask: pathlib.Path, classes: Classes) -> MaskedImage:
    """Raises LeftOutError for an image without a mask of its own size."""
    if not mask.is_file():
        raise LeftOutError("images without a mask")
    file, shape = seen(path, name)
    values = read_mask(mask, classes)
    check_shape(values.shape, shape, "masks")
    found = tuple(int(value) for value in np.unique(values[values >= 0]))
    said = hashlib.sha256(repr(values.shape).encode() + values.tobytes()).digest()
    return MaskedImage(file, shape, mask, said, found)


def _counts(images: Sequence[MaskedImage], labels: Sequence[str]) -> dict[str, int]:
    return {
        label: sum(number in own.classes for own in images) for number, label in enumerate(labels)
    }
