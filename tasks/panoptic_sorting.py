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
from tasks.left_out import LeftOutError, check_shape, seen
from tasks.listing import ListedImage
from tasks.panoptic_annotations import PanopticAnnotations, PanopticImage
from tasks.whole_images import cut_images


class SegmentedImage(NamedTuple):
    """An image file, the file of its segments, what these are, and a digest of both."""

    file: ListedImage
    shape: tuple[int, int]
    png: pathlib.Path
    segments: tuple[tuple[int, int], ...]
    said: bytes


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
        except LeftOutError as error:
            left_out[str(error)].append(error.named(image.name))
    return cut_images(
        folder, made, files, how, left_out, lambda own: _counts(own, read.labels), "segments"
    )


def _segmented(path: pathlib.Path, png: pathlib.Path, image: PanopticImage) -> SegmentedImage:
    """Raises LeftOutError for an image without segments of its own size."""
    file, shape = seen(path, image.name)
    values = read_segments(png, image.segments)
    check_shape(values.shape, shape, "segments")
    said = hashlib.sha256(repr(values.shape).encode() + values.tobytes()).digest()
    return SegmentedImage(file, shape, png, image.segments, said)


def read_segments(png: pathlib.Path, segments: Sequence[tuple[int, int]]) -> npt.NDArray[np.int32]:
    """The segment of each pixel, [H, W]. Raises LeftOutError."""
    if not png.is_file():
        raise LeftOutError("images without a file of segments")
    try:
        with Image.open(png) as opened:
            numbers = numbers_of(opened)
    except Exception as error:  # as of images
        raise LeftOutError("files of segments that cannot be opened") from error
    meant = {NONE: -1, **dict(segments)}
    found, places = np.unique(numbers, return_inverse=True)
    if odd := [str(value) for value in found.tolist() if value not in meant]:
        raise LeftOutError("files with segments that are not listed", f"numbers {', '.join(odd)}")
    values = np.array([meant[value] for value in found.tolist()], np.int32)
    if (values < 0).all():
        raise LeftOutError("files of segments without a pixel that counts")
    return values[places].reshape(numbers.shape)


def _counts(images: Sequence[SegmentedImage], labels: Sequence[str]) -> dict[str, int]:
    counts = collections.Counter(
        number // MOST_OF_CLASS for own in images for number in {n for _, n in own.segments}
    )
    return {label: counts[place] for place, label in enumerate(labels)}
