"""Image files out of what a user names: files, folders, patterns, and lists of paths."""

import csv
import glob
import os
import pathlib
from collections.abc import Iterable, Iterator

from adapters import image_kinds
from adapters.errors import ModelPatchError

LISTS = (".csv", ".txt")
COLUMNS = ("path", "image", "file", "filename")


class NoImagesError(ModelPatchError):
    """What was named holds no image, or is not there."""


def image_paths(named: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The paths of all images that are named, each once, in their order.

    Args:
      named: of each one the path of a file; of a folder, whose images are taken with those of all
        folders in it, by name; a pattern, `shots/**/*.png`, say; or a list, in which paths are
        relative to it: `.txt` with one a line, or `.csv` with a column `path`, `image`, `file` or
        `filename`.

    Raises NoImagesError for what is not there, or holds no image.
    """
    found: dict[str, None] = {}
    for one in named:
        paths = list(_paths(os.fspath(one)))
        if not paths:
            raise NoImagesError(
                f"{os.fspath(one)} holds no image: files that end in "
                f"{', '.join(image_kinds.read_endings())}."
            )
        found |= dict.fromkeys(paths)
    if not found:
        raise NoImagesError("no images are named: give files, folders, patterns or lists.")
    return list(found)


def _paths(name: str) -> Iterator[str]:
    path = pathlib.Path(name)
    if path.is_dir():
        inside = (
            os.path.join(top, file)
            for top, _, files in os.walk(path)
            for file in files
            if not file.startswith(".")  # `._cat.jpg` is a system's own, and no image
        )
        endings = image_kinds.read_endings()
        found = sorted(file for file in inside if file.lower().endswith(endings))
        yield from filter(os.path.isfile, found)
    elif path.suffix.lower() in LISTS and path.is_file():
        yield from (str(path.parent / line) for line in _listed(path))
    elif path.exists():
        yield name
    elif glob.has_magic(name):
        yield from sorted(glob.glob(name, recursive=True))
    else:
        raise NoImagesError(f"there is no file {name}.")


def _listed(path: pathlib.Path) -> Iterator[str]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        if path.suffix.lower() == ".txt":
            yield from filter(None, map(str.strip, file))
            return
        rows = csv.DictReader(file)
        column = next((name for name in COLUMNS if name in (rows.fieldnames or ())), None)
        if column is None:
            raise NoImagesError(
                f"{path} has the columns {', '.join(rows.fieldnames or ()) or 'none'}; one must be "
                f"called {', '.join(COLUMNS)}."
            )
        yield from (row[column] for row in rows if row[column])
