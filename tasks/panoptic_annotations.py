"""What a COCO file of panoptic annotations says of images, and all that it says wrong.

Kirillov et al., "Panoptic Segmentation", arXiv 1801.00868; the format is described at
cocodataset.org: of each image a PNG whose colours are numbers of segments, and what each is of.
Nothing is opened but the file itself.
"""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from adapters.heads.contract import MOST_OF_CLASS
from adapters.panoptic_png import NONE
from tasks.coco_document import is_inside, listed_images, read_categories, read_document
from tasks.listing import FolderError

MOST_SEGMENTS = 256  # of an image


class PanopticImage(NamedTuple):
    """An image and its segments.

    Attributes:
      name: of its file, below the folder of images.
      png: of the file of its segments, below the folder of those.
      segments: (number in the PNG, segment as a target has it, -1 for a crowd).
    """

    name: str
    png: str
    segments: tuple[tuple[int, int], ...]


class PanopticAnnotations(NamedTuple):
    """What a file of panoptic annotations holds.

    Attributes:
      labels: names of the categories of which there are segments, those of surfaces first.
      surfaces: how many are of surfaces.
      most: segments in an image.
      images: in the order of their names.
      found: {what is odd: names}, of what is left out.
    """

    labels: tuple[str, ...]
    surfaces: int
    most: int
    images: tuple[PanopticImage, ...]
    found: Mapping[str, Sequence[str]]


class _Listed(NamedTuple):
    """An image before its labels have numbers; segments are (number, category, crowd)."""

    name: str
    png: str
    segments: tuple[tuple[int, int, bool], ...]


def read(path: pathlib.Path) -> PanopticAnnotations:
    """Reads a file of panoptic annotations.

    Raises FolderError for one that cannot be read, or has no images, no categories, one that does
    not say whether it is of things, or not one segment.
    """
    document = read_document(path)
    names = read_categories(path, document["categories"])
    things = {entry["id"]: entry.get("isthing") for entry in document["categories"]}
    if odd := [names[key] for key, value in things.items() if value not in (0, 1)]:
        raise FolderError(
            f"{path} has the category {odd[0]!r} without `isthing`: 1 of things that are counted, "
            "0 of surfaces."
        )
    found: dict[str, list[str]] = collections.defaultdict(list)
    known = listed_images(document["images"], found)
    listed: dict[Any, _Listed] = {}
    times = collections.Counter(
        repr(entry.get("image_id")) for entry in document["annotations"] if isinstance(entry, dict)
    )
    for place, entry in enumerate(document["annotations"]):
        key = entry.get("image_id") if isinstance(entry, dict) else None
        if type(key) not in (int, str) or key not in known:
            found["annotations of images that are not listed"].append(f"annotation {place}")
            continue
        name, _, _ = known[key]
        fault = "images with several annotations" if times[repr(key)] > 1 else _fault(entry, names)
        if fault:
            found[fault] += [] if name in found[fault] else [name]
            continue
        segments = tuple(
            (each["id"], each["category_id"], bool(each.get("iscrowd")))
            for each in entry["segments_info"]
        )
        listed[key] = _Listed(name, entry["file_name"], segments)
    told = {name for names in found.values() for name in names}
    lacking = [name for key, (name, _, _) in known.items() if key not in listed]
    if without := [name for name in lacking if name not in told]:
        found["images without an annotation"] += without
    used = {label for own in listed.values() for _, label, crowd in own.segments if not crowd}
    if not used:
        raise FolderError(f"{path} has no segment that can be used.")
    order = sorted(used, key=lambda key: (bool(things[key]), key))
    numbers = {key: place for place, key in enumerate(order)}
    surfaces = sum(not things[key] for key in order)
    images = []
    for own in sorted(listed.values()):
        numbered = _numbered(own, numbers, surfaces)
        if numbered is None:
            found[f"more than {MOST_OF_CLASS} segments of a class"].append(own.name)
        else:
            images.append(PanopticImage(own.name, own.png, numbered))
    if not images:
        raise FolderError(f"{path} has no segment that can be used.")
    most = max(len({number for _, number in own.segments if number >= 0}) for own in images)
    return PanopticAnnotations(
        tuple(names[key] for key in order), surfaces, most, tuple(images), dict(found)
    )


def _fault(entry: Mapping[str, Any], categories: Mapping[Any, str]) -> str:
    """Why an annotation says nothing of its image; "" where it does."""
    png, segments = entry.get("file_name"), entry.get("segments_info")
    if not isinstance(png, str) or not png or not is_inside(png):
        return "annotations without a file in their folder"
    if not isinstance(segments, list) or not all(isinstance(each, dict) for each in segments):
        return "annotations without segments_info"
    keys = [each.get("id") for each in segments]
    if not all(type(key) is int and key != NONE for key in keys) or len({*keys}) < len(keys):
        return "annotations with segments of no number, or of one number"
    if not all(type(each.get("category_id")) is int for each in segments):
        return "annotations with segments of unknown categories"
    if not all(each["category_id"] in categories for each in segments):
        return "annotations with segments of unknown categories"
    if len(segments) > MOST_SEGMENTS:
        return f"more than {MOST_SEGMENTS} segments"
    return ""


def _numbered(
    image: _Listed, numbers: Mapping[int, int], surfaces: int
) -> tuple[tuple[int, int], ...] | None:
    """Segments as a target has them; None where a class has too many. A surface has one."""
    counts: collections.Counter[int] = collections.Counter()
    found = []
    for key, category, crowd in image.segments:
        if crowd:
            found.append((key, -1))
            continue
        label = numbers[category]
        found.append((key, label * MOST_OF_CLASS + counts[label]))
        counts[label] += label >= surfaces
    return None if max(counts.values(), default=0) > MOST_OF_CLASS else tuple(found)
