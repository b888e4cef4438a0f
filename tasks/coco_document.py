"""What COCO's files of annotations have in common: images, categories, and their faults."""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from tasks.listing import FolderError


def read_document(path: pathlib.Path) -> dict[str, list[Any]]:
    """Its lists of images, annotations and categories. Raises FolderError where one is missing."""
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise FolderError(f"{path} cannot be read as JSON: {why}.") from error
    for part in ("images", "annotations", "categories"):
        if not isinstance(read, dict) or not isinstance(read.get(part), list):
            raise FolderError(
                f"{path} has no list of {part}; a COCO file has images, annotations and categories."
            )
        if part != "annotations" and not read[part]:
            raise FolderError(f"{path} has no {part}: there is nothing to find.")
    return dict(read)


def read_categories(path: pathlib.Path, entries: Sequence[Any]) -> dict[Any, str]:
    """{number: name}, in the order of the numbers. Raises FolderError where one is none."""
    found: dict[int, str] = {}
    for entry in entries:
        key, name = (
            (entry.get("id"), entry.get("name")) if isinstance(entry, dict) else (None, None)
        )
        if type(key) is not int or not isinstance(name, str) or not name.strip():
            raise FolderError(f"{path} has a category {entry!r}; each has a number and a name.")
        if key in found or name in found.values():
            raise FolderError(
                f"{path} has two categories of the number {key} or the name {name!r}."
            )
        found[key] = name
    return dict(sorted(found.items()))


def listed_images(
    entries: Sequence[Any], found: dict[str, list[str]]
) -> dict[Any, tuple[str, int, int]]:
    """{number: (name, width, height)}; of a number or a name that comes twice the first."""
    images: dict[Any, tuple[str, int, int]] = {}
    names = set()
    for place, entry in enumerate(entries):
        known = entry if isinstance(entry, dict) else {}
        key, name = known.get("id"), known.get("file_name")
        if type(key) not in (int, str) or not isinstance(name, str) or not name:
            found["images without a number or a file name"].append(f"image {place}")
        elif not is_inside(name):
            found["images outside the folder"].append(name)
        elif key in images:
            found["images whose number another has"].append(name)
        elif os.path.normpath(name) in names:
            found["images that are listed twice"].append(name)
        else:
            names.add(os.path.normpath(name))
            images[key] = (name, _side(known.get("width")), _side(known.get("height")))
    return images


def is_inside(name: str) -> bool:
    """Whether a name leads nowhere but below the folder of images."""
    parts = pathlib.PurePosixPath(name.replace("\\", "/")).parts
    return not pathlib.PurePath(name).is_absolute() and ".." not in parts and "\0" not in name


def _side(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
