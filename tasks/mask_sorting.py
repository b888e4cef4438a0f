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
from tasks.listing import ListedImage, images_below, shown
from tasks.mask_files import Classes, MaskError, read_mask
from tasks.whole_images import cut_images, seen_size


class MaskedImage(NamedTuple):
    """An image file and its mask.

    Attributes:
      file: the image.
      mask: the file of its mask.
      digest: of the mask's classes.
      classes: numbers of those that some pixel has.
    """

    file: ListedImage
    mask: pathlib.Path
    digest: bytes
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
        except MaskError as error:
            left_out[str(error)].append(f"{name}, {error.more}" if error.more else name)
    if others := sorted(shown(path, masks) for path in all_masks - expected.keys()):
        left_out["masks without an image"] = others
    cut = cut_images(
        folder,
        [one.file for one in masked],
        [one.digest for one in masked],
        files,
        how,
        left_out,
    )
    found = {split: [masked[place] for place in own] for split, own in cut.splits.items()}
    inventory = Inventory(
        used={split: _counts(own, labels) for split, own in found.items()},
        left_out={**left_out, **cut.faults},
        unreadable=frozenset(cut.faults),
        copies=cut.copies,
        contradictions=cut.contradictions,
        alike=cut.alike,
        counted="regions, one a class and image",
    )
    return found, inventory


def _masked(path: pathlib.Path, name: str, mask: pathlib.Path, classes: Classes) -> MaskedImage:
    """Raises MaskError for an image without a mask of its own size."""
    if not mask.is_file():
        raise MaskError("images without a mask")
    try:
        size, state = seen_size(path), path.stat()
    except Exception as error:  # as of masks
        raise MaskError("images that cannot be opened") from error
    values = read_mask(mask, classes)
    if values.shape != size[::-1]:
        sides = " x ".join(map(str, values.shape[::-1]))
        raise MaskError(
            "masks of another size than their image", f"{sides} for {size[0]} x {size[1]}"
        )
    same = state.st_size, state.st_mtime_ns, state.st_ino
    found = tuple(int(value) for value in np.unique(values[values >= 0]))
    digest = hashlib.sha256(repr(values.shape).encode() + values.tobytes()).digest()
    return MaskedImage(ListedImage(path, name, None, "", same), mask, digest, found)


def _counts(images: Sequence[MaskedImage], labels: Sequence[str]) -> dict[str, int]:
    return {
        label: sum(number in own.classes for own in images) for number, label in enumerate(labels)
    }
