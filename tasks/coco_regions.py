"""What a COCO file says of images' pixels: outlines and classes of objects, and all it says wrong.

Lin et al., "Microsoft COCO", arXiv 1405.0312; the format is described at cocodataset.org. Outlines
are polygons `[x, y, x, y, ...]` in pixels, several where an object is in parts, or lengths of runs
`{"size": [height, width], "counts": ...}`, as numbers or as COCO's text. Nothing is opened but the
file itself.
"""

import collections
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks import outlines
from tasks.coco_document import (
    category_fault,
    known_annotations,
    listed_images,
    nothing_left,
    read_categories,
    read_document,
)

NO_OBJECTS = "no objects"
CROWDS = "crowds, whose pixels do not count"
CUT = "outlines that reach over the edge of their image, cut there"
USED = (NO_OBJECTS, CROWDS, CUT)
"""What is odd, and used all the same."""

_LEAST_POINTS = 3  # of a polygon


class Runs(NamedTuple):
    """Lengths of runs, out, in, out, and so on, of an image of `size`: height and width."""

    size: tuple[int, int]
    counts: tuple[int, ...]


Polygons = tuple[npt.NDArray[np.float64], ...]


class Region(NamedTuple):
    """An object of an image.

    Attributes:
      said: how it is called in messages.
      label: its place among the labels; -1 where its pixels do not count.
      outline: polygons, points [n, 2] each in pixels, or runs; None where there is none to read.
      box: left, top, right, bottom in pixels, where that is known.
    """

    said: str
    label: int
    outline: Polygons | Runs | None
    box: tuple[float, float, float, float] | None


class RegionImage(NamedTuple):
    """An image and the objects in it, in the file's order; sides are 0 where nothing is said."""

    name: str
    width: int
    height: int
    regions: tuple[Region, ...]


class RegionAnnotations(NamedTuple):
    """What a file of annotations holds.

    Attributes:
      labels: names of the categories of which there are objects, in the order of their numbers.
      images: in the order of their names.
      found: {what is odd: names}, of what is left out, and of what is used in another form.
    """

    labels: tuple[str, ...]
    images: tuple[RegionImage, ...]
    found: Mapping[str, Sequence[str]]


def read(path: pathlib.Path) -> RegionAnnotations:
    """Reads a file of annotations.

    Raises FolderError for one that cannot be read, or has no images, no categories, two of one
    number or name, or not one object.
    """
    document = read_document(path)
    categories = read_categories(path, document["categories"])
    found: dict[str, list[str]] = collections.defaultdict(list)
    images = listed_images(document["images"], found)
    regions: dict[Any, list[Region]] = {key: [] for key in images}
    for key, said, entry in known_annotations(document["annotations"], images, found):
        regions[key].append(_region(entry, said, categories, found))
    used = {each.label for own in regions.values() for each in own if each.label >= 0}
    if not used:
        raise nothing_left(path, found)
    order = [key for key in categories if key in used]
    places = {key: place for place, key in enumerate(order)}
    made = []
    for key, (name, width, height) in images.items():
        own = tuple(each._replace(label=places.get(each.label, -1)) for each in regions[key])
        if not any(each.label >= 0 for each in own):
            found[NO_OBJECTS].append(name)
        made.append(RegionImage(name, width, height, own))
    made.sort(key=lambda image: image.name)
    return RegionAnnotations(tuple(categories[key] for key in order), tuple(made), dict(found))


def _region(
    entry: Mapping[str, Any],
    said: str,
    categories: Mapping[int, str],
    found: dict[str, list[str]],
) -> Region:
    """An annotation, with the number of its category for a label."""
    fault = category_fault(entry, categories)
    if not fault and entry.get("iscrowd"):
        fault = CROWDS
    outline, odd = _outline(entry.get("segmentation"))
    for why in (fault, odd):
        if why:
            found[why].append(said)
    counts = not fault and outline is not None
    return Region(said, entry["category_id"] if counts else -1, outline, _box(entry.get("bbox")))


def _outline(given: Any) -> tuple[Polygons | Runs | None, str]:
    """What can be used of a `segmentation`, and what is odd about it, "" if nothing is."""
    if isinstance(given, dict):
        runs = _runs(given.get("size"), given.get("counts"))
        return runs, "" if runs else "runs that cannot be read"
    if not isinstance(given, list) or not given:
        return None, "annotations without an outline"
    whole = [each for each in given if _are_points(each)]
    polygons = [np.array(each, np.float64).reshape(-1, 2) for each in whole]
    kept = tuple(points for points in polygons if len(points) >= _LEAST_POINTS)
    if len(whole) < len(given):
        return kept or None, "polygons that are no pairs of numbers"
    odd = "polygons of fewer than three points"
    return kept or None, odd if len(kept) < len(given) else ""


def _runs(size: Any, counts: Any) -> Runs | None:
    if isinstance(counts, str):
        counts = outlines.read_runs(counts)
    if not (_are_whole(size) and len(size) == 2 and _are_whole(counts)):
        return None
    return Runs((size[0], size[1]), tuple(counts))


def _are_points(given: Any) -> bool:
    return isinstance(given, list) and len(given) % 2 == 0 and all(map(_is_number, given))


def _are_whole(given: Any) -> bool:
    return isinstance(given, list) and all(type(value) is int and value >= 0 for value in given)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _box(given: Any) -> tuple[float, float, float, float] | None:
    if not (isinstance(given, list) and len(given) == 4 and all(map(_is_number, given))):
        return None
    left, top, wide, high = given
    return left, top, left + wide, top + high
