"""What COCO's files of annotations have in common: images, categories, and their faults."""

import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.annotated_examples import AnnotatedImage
from tasks.left_out import LeftOutError
from tasks.listing import FolderError

MARK = ", annotation "
"""Between the name of an image and what tells one of its annotations."""


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


def known_annotations(
    entries: Sequence[Any],
    images: Mapping[Any, tuple[str, int, int]],
    found: dict[str, list[str]],
) -> Iterator[tuple[Any, str, Mapping[str, Any]]]:
    """(number of the image, name of the annotation, annotation) of those of listed images.

    Others are named in `found`, {why: names}.
    """
    for place, entry in enumerate(entries):
        key = entry.get("image_id") if isinstance(entry, dict) else None
        if not isinstance(entry, dict):
            found["annotations that are none"].append(f"annotation {place}")
        elif type(key) not in (int, str) or key not in images:
            found["annotations of images that are not listed"].append(f"annotation {place}")
        else:
            yield key, f"{images[key][0]}{MARK}{entry.get('id', place)}", entry


def category_fault(entry: Mapping[str, Any], categories: Mapping[Any, Any]) -> str:
    """Why an annotation is of no category; "" where it is of one."""
    category = entry.get("category_id")
    known = type(category) is int and category in categories
    return "" if known else "annotations of unknown categories"


def nothing_left(path: pathlib.Path, found: Mapping[str, Sequence[str]]) -> FolderError:
    """What is raised where no annotation of a file can be used; `found` is {why: names}."""
    said = ", ".join(f"{len(names)} {why}" for why, names in found.items())
    return FolderError(f"{path} has no object that can be used ({said or 'no annotation'}).")


def check_size(said: tuple[int, int], seen: tuple[int, int]) -> None:
    """Raises LeftOutError where an image has another width and height than the file says."""
    if said not in (seen, (0, 0)):
        raise LeftOutError("images of another size than is said of them")


def noted(
    odd: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[AnnotatedImage]]
) -> dict[str, list[str]]:
    """Of all {why: names} that are odd, those of the images that are used all the same."""
    used = {image.file.name for own in found.values() for image in own}
    kept = {
        why: [name for name in names if name.partition(MARK)[0] in used]
        for why, names in odd.items()
    }
    return {why: names for why, names in kept.items() if names}


def is_inside(name: str) -> bool:
    """Whether a name leads nowhere but below the folder of images."""
    parts = pathlib.PurePosixPath(name.replace("\\", "/")).parts
    return not pathlib.PurePath(name).is_absolute() and ".." not in parts and "\0" not in name


def _side(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
