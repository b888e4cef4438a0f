"""Which images of a panoptic COCO file are used, in which split, and why others are not."""

import collections
import hashlib
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters.heads.contract import MOST_OF_CLASS
from adapters.panoptic_png import NONE, numbers_of
from tasks.cutting import UNCHANGED, Cut
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory
from tasks.listing import ListedImage
from tasks.mask_files import MaskError
from tasks.panoptic_annotations import PanopticAnnotations, PanopticImage
from tasks.whole_images import cut_images, seen_size


class SegmentedImage(NamedTuple):
    """An image file, the file of its segments, what these are, and a digest of both."""

    file: ListedImage
    png: pathlib.Path
    segments: tuple[tuple[int, int], ...]
    digest: bytes


def sort(
    folder: pathlib.Path,
    beside: pathlib.Path,
    read: PanopticAnnotations,
    files: ImageFiles,
    how: Cut = UNCHANGED,
) -> tuple[dict[str, list[SegmentedImage]], Inventory]:
    """The images of each split, and what was found.

    Args:
      folder: of the images.
      beside: folder of the files of their segments.
      read: what is said of them.
      files: reads the images.
      how: they are cut.

    Raises FolderError.
    """
    left_out = collections.defaultdict(list, {why: [*names] for why, names in read.found.items()})
    made: list[SegmentedImage] = []
    for image in read.images:
        try:
            made.append(_segmented(folder / image.name, beside / image.png, image))
        except MaskError as error:
            more = f", {error.more}" if error.more else ""
            left_out[str(error)].append(f"{image.name}{more}")
    cut = cut_images(
        *(folder, [own.file for own in made], [own.digest for own in made]),
        *(files, how, left_out),
    )
    found = {split: [made[place] for place in own] for split, own in cut.splits.items()}
    return found, Inventory(
        used={split: _counts(own, read.labels) for split, own in found.items()},
        left_out={**left_out, **cut.faults},
        unreadable=frozenset(cut.faults),
        copies=cut.copies,
        contradictions=cut.contradictions,
        alike=cut.alike,
        counted="segments",
    )


def _segmented(path: pathlib.Path, png: pathlib.Path, image: PanopticImage) -> SegmentedImage:
    """Raises MaskError for an image without segments of its own size."""
    if not path.is_file():
        raise MaskError("images that are not there")
    try:
        size, state = seen_size(path), path.stat()
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise MaskError("images that cannot be opened") from error
    values = read_segments(png, image.segments)
    if values.shape != size[::-1]:
        sides = " x ".join(map(str, values.shape[::-1]))
        raise MaskError(
            "segments of another size than their image", f"{sides} for {size[0]} x {size[1]}"
        )
    known = hashlib.sha256(repr(values.shape).encode() + values.tobytes()).digest()
    same = state.st_size, state.st_mtime_ns, state.st_ino
    listed = ListedImage(path, image.name, None, "", same)
    return SegmentedImage(listed, png, image.segments, known)


def read_segments(png: pathlib.Path, segments: Sequence[tuple[int, int]]) -> npt.NDArray[np.int32]:
    """The segment of each pixel, [H, W]. Raises MaskError."""
    if not png.is_file():
        raise MaskError("images without a file of segments")
    try:
        with Image.open(png) as opened:
            numbers = numbers_of(opened)
    except Exception as error:  # as of images
        raise MaskError("files of segments that cannot be opened") from error
    meant = {NONE: -1, **dict(segments)}
    found, places = np.unique(numbers, return_inverse=True)
    if odd := [str(value) for value in found.tolist() if value not in meant]:
        raise MaskError("files with segments that are not listed", f"numbers {', '.join(odd)}")
    values = np.array([meant[value] for value in found.tolist()], np.int32)
    if (values < 0).all():
        raise MaskError("files of segments without a pixel that counts")
    return values[places].reshape(numbers.shape)


def _counts(images: Sequence[SegmentedImage], labels: Sequence[str]) -> dict[str, int]:
    counts = collections.Counter(
        number // MOST_OF_CLASS for own in images for number in {n for _, n in own.segments}
    )
    return {label: counts[place] for place, label in enumerate(labels)}
