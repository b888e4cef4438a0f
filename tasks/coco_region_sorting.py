"""Which images of a COCO file of outlines are used, in which split, and why others are not."""

import collections
import dataclasses
import hashlib
import pathlib
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.heads.contract import MOST_OF_CLASS
from tasks import coco_regions, outlines
from tasks.coco_annotations import SLACK
from tasks.coco_document import check_size, noted
from tasks.coco_regions import Region, RegionAnnotations, RegionImage, Runs
from tasks.cutting import UNCHANGED, Cut
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory
from tasks.left_out import LeftOutError, check_shape, seen
from tasks.listing import ListedImage
from tasks.outlines import Strip
from tasks.panoptic_annotations import MOST_SEGMENTS
from tasks.whole_images import cut_images

_REST, _NONE = -1, -2  # of a pixel before its object is known: of no object; of one that counts not
_FAR = 1  # sides of the image by which an outline may reach over its edge


class RegionedImage(NamedTuple):
    """An image file and the numbers of its pixels.

    Attributes:
      file: the image.
      shape: (H, W).
      packed: the numbers; see `numbers_of`.
      said: a digest of them.
      labels: of each region that has pixels.
    """

    file: ListedImage
    shape: tuple[int, int]
    packed: bytes
    said: bytes
    labels: tuple[int, ...]


class Numbering(NamedTuple):
    """What number a pixel gets.

    Attributes:
      labels: of all classes.
      places: of a file's labels among these.
      rest: whether a pixel of no object is of the first class; otherwise it does not count.
      apart: whether objects of one class are told apart, by the number of their segment.
    """

    labels: tuple[str, ...]
    places: tuple[int, ...]
    rest: bool
    apart: bool

    @property
    def surfaces(self) -> int:
        """How many classes, the first ones, have one segment in an image."""
        return int(self.rest)


def sort(
    folder: pathlib.Path,
    read: RegionAnnotations,
    numbering: Numbering,
    files: ImageFiles,
    how: Cut = UNCHANGED,
) -> tuple[dict[str, list[RegionedImage]], Inventory]:
    """The images of each split, and what was found.

    Args:
      folder: of the images.
      read: what is said of them.
      numbering: of their pixels.
      files: reads the images.
      how: they are cut.

    Raises FolderError.
    """
    found = collections.defaultdict(list, {why: [*names] for why, names in read.found.items()})
    made = []
    for image in read.images:
        try:
            made.append(_regioned(folder, image, numbering, found))
        except LeftOutError as error:
            found[str(error)].append(error.named(image.name))
    odd = {why: found.pop(why, []) for why in coco_regions.USED}

    def counts(images: Sequence[RegionedImage]) -> Mapping[str, int]:
        number = collections.Counter(label for own in images for label in own.labels)
        return {label: number[place] for place, label in enumerate(numbering.labels)}

    counted = "segments" if numbering.apart else "regions, one a class and image"
    splits, inventory = cut_images(folder, made, files, how, found, counts, counted)
    return splits, dataclasses.replace(inventory, noted=noted(odd, splits))


def numbers_of(image: RegionedImage) -> npt.NDArray[np.int32]:
    """The number of each pixel, [H, W]: of its class or its segment, -1 where it does not count."""
    flat = np.frombuffer(zlib.decompress(image.packed), np.int32)
    return flat.reshape(image.shape)


def _regioned(
    folder: pathlib.Path,
    image: RegionImage,
    numbering: Numbering,
    found: dict[str, list[str]],
) -> RegionedImage:
    """Draws an image's objects, the smaller ones over the larger. Raises LeftOutError."""
    file, shape = seen(folder / image.name, image.name)
    check_size((image.width, image.height), (shape[1], shape[0]))
    drawn = [(label, strip) for own in image.regions for label, strip in _strips(own, shape, found)]
    counted = [(numbering.places[label], strip) for label, strip in drawn if label >= 0]
    canvas = np.full((shape[1], shape[0]), _REST, np.int32)
    for label, strip in drawn:
        if label < 0:
            _draw(canvas, strip, _NONE)
    for place in sorted(range(len(counted)), key=lambda place: -counted[place][1].area):
        _draw(canvas, counted[place][1], place)
    there = [int(place) for place in np.unique(canvas)]
    regions = {place: counted[place][0] for place in there if place >= 0}
    if numbering.rest and _REST in there:
        regions = {_REST: 0, **regions}
    if not regions:
        raise LeftOutError("images without a pixel that counts")
    meant = _segments(regions, numbering) if numbering.apart else regions
    table = np.array([meant.get(place, -1) for place in range(_NONE, len(counted))], np.int32)
    values = np.ascontiguousarray(table[canvas.T - _NONE])
    labels = [number // MOST_OF_CLASS if numbering.apart else number for number in meant.values()]
    numbers = {*zip(meant.values(), labels, strict=True)}
    said = hashlib.sha256(repr(shape).encode() + values.tobytes()).digest()
    packed = zlib.compress(values.tobytes(), 1)
    return RegionedImage(file, shape, packed, said, tuple(label for _, label in sorted(numbers)))


def _segments(regions: Mapping[int, int], numbering: Numbering) -> dict[int, int]:
    """{place: segment} of {place: label}: a surface has one. Raises LeftOutError for too many."""
    counts: collections.Counter[int] = collections.Counter()
    found = {}
    for place, label in regions.items():
        found[place] = label * MOST_OF_CLASS + counts[label]
        counts[label] += label >= numbering.surfaces
    if max(counts.values()) > MOST_OF_CLASS:
        raise LeftOutError(f"more than {MOST_OF_CLASS} segments of a class")
    if len({*found.values()}) > MOST_SEGMENTS:
        raise LeftOutError(f"more than {MOST_SEGMENTS} segments")
    return found


def _draw(canvas: npt.NDArray[np.int32], strip: Strip, number: int) -> None:
    canvas[strip.first : strip.first + len(strip.mask)][strip.mask] = number


def _strips(
    region: Region, shape: tuple[int, int], found: dict[str, list[str]]
) -> list[tuple[int, Strip]]:
    """The pixels of an object with its label; those of its box, if any, where they are unknown."""
    if region.outline is not None:
        try:
            strip, cut = _strip(region.outline, shape)
        except LeftOutError as error:
            found[str(error)].append(error.named(region.said))
        else:
            if cut:
                found[coco_regions.CUT].append(region.said)
            return [(region.label, strip)]
    if region.box is None:
        return []
    sides = (shape[1], shape[0])
    left, top, right, bottom = np.clip(region.box, 0, (*sides, *sides))
    corners = np.array([(left, top), (left, bottom), (right, bottom), (right, top)])
    return [(-1, outlines.polygons([corners], *shape))]


def _strip(outline: coco_regions.Polygons | Runs, shape: tuple[int, int]) -> tuple[Strip, bool]:
    """The pixels of an outline, and whether it is cut at the edge. Raises LeftOutError."""
    height, width = shape
    if isinstance(outline, Runs):
        check_shape(outline.size, shape, "runs")
        strip = outlines.runs(outline.counts, height, width)
        if strip is None:
            raise LeftOutError("runs that do not fill their image")
        over = 0.0
    else:
        points = np.concatenate(outline)
        over = max(-points.min(), *(points.max(axis=0) - (width, height)))
        first, last = points.min(axis=0), points.max(axis=0)
        if (last <= 0).any() or (first >= (width, height)).any():
            raise LeftOutError("outlines outside their image")
        if over > _FAR * max(shape):
            raise LeftOutError("outlines that reach far outside their image")
        strip = outlines.polygons(outline, height, width)
    if not strip.area:
        raise LeftOutError("outlines of no area")
    return strip, over > SLACK
