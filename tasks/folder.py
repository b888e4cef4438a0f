"""A user's own images: a folder with one sub-folder a class.

Licence: the user's.
Sizes: PNG, JPEG, WebP, GIF, BMP and TIFF files; at least two classes, with three images each unless
  the folder brings its own splits: folders train, validation and perhaps test, each with one
  sub-folder a class. Otherwise 70 % of each class train, 15 % validate and 15 % test, chosen by
  file name and so alike on every machine. Images are read with a short side of at most 256 pixels.
Command: launch/train --tasks=folder:PATH
Expected: nothing is known about the images.
"""

import dataclasses
import pathlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from adapters import errors, preprocessing
from tasks import digest, pixels
from tasks.cutting import SPLITS, cut_by_hash
from tasks.task import Examples, Task

PREFIX = "folder:"
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
SHORT_SIDE = 256  # pixels


class FolderError(errors.ModelPatchError):
    """A folder of images that is missing, empty, or has no classes to tell apart."""


class UnreadableImageWarning(UserWarning):
    """An image of a folder cannot be read and is left out; the message names it."""


def folder_task(path: str) -> Task:
    """Returns the task of the folder `path`, named after it.

    Raises FolderError.
    """
    root = pathlib.Path(path).expanduser()
    if not path or not root.is_dir():
        raise FolderError(f"there is no folder {path!r}; write {PREFIX}PATH, with sub-folders.")
    root = root.resolve()
    if _brings_splits(root):
        splits = tuple(split for split in SPLITS if (root / split).is_dir())
        if "validation" not in splits:
            raise FolderError(f"{root} has a folder train but none called validation.")
        labels = sorted(_classes(root / "train"))
    else:
        splits = SPLITS
        classes = _classes(root)
        labels = sorted(classes)
        for label in labels:
            if len(classes[label]) < 3:
                raise FolderError(
                    f"{root / label} holds {_count(len(classes[label]), 'image', 'images')}; a "
                    f"class needs three, one for each of {', '.join(SPLITS)}."
                )
    if len(labels) < 2:
        raise FolderError(
            f"{root} holds {_count(len(labels), 'class', 'classes')} of images; two sub-folders or "
            f"more are needed. Images are files ending in {', '.join(sorted(SUFFIXES))}."
        )
    return Task(
        name=root.name,
        source=Folder(str(root)),
        labels=tuple(labels),
        description=__doc__,
        expected=(0.0, 1.0),
        splits=splits,
        fit="crop",
    )


@dataclasses.dataclass(frozen=True)
class Folder:
    """A source that reads image files where they lie."""

    path: str

    def open(self, task: Task, split: str, data_dir: str | None) -> Examples:
        """Opens a split, reading every image once; warns of each that cannot be read.

        Raises FolderError when no image is left of a split, or of a class to train on, or when a
        split has a class that training has not.
        """
        del data_dir
        images = _Images(self._files(task, split))
        wanted = set(range(len(task.labels))) if split == "train" else set()
        missing = sorted(task.labels[label] for label in wanted - images.labels)
        if missing or not len(images):
            whose = f" of {', '.join(missing)}" if missing else ""
            raise FolderError(f"{self.path}: no readable image{whose} for {split}.")
        return images

    def contents(self, task: Task, split: str, data_dir: str | None) -> digest.Contents:
        """The digest of a split's files, in their classes; no image is decoded."""
        del data_dir
        files = self._files(task, split)
        return digest.of_files((f"{task.labels[label]}/{path.name}", path) for path, label in files)

    def _files(self, task: Task, split: str) -> list[tuple[pathlib.Path, int]]:
        root = pathlib.Path(self.path)
        if _brings_splits(root):
            listing = _classes(root / split)
            unknown = sorted(set(listing) - set(task.labels))
            if unknown:
                raise FolderError(f"{root / split} has classes that train has not: {unknown}.")
        else:
            listing = {
                label: cut_by_hash(paths, key=lambda path: path.name)[split]
                for label, paths in _classes(root).items()
            }
        return [
            (path, task.labels.index(label)) for label, paths in listing.items() for path in paths
        ]


class _Images:
    """Random access to image files, those left out that cannot be read."""

    def __init__(self, files: Sequence[tuple[pathlib.Path, int]]):
        self._cache = pixels.PixelCache()
        self._files = [(path, label) for path, label in files if self._readable(path)]
        self.labels = {label for _, label in self._files}

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        path, label = self._files[index]
        return {
            "name": f"{path.parent.name}/{path.name}",
            "image": self._cache.get(path, lambda: _decode(path)),
            "label": label,
        }

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[index] for index in range(len(self)))

    def _readable(self, path: pathlib.Path) -> bool:
        try:
            self._cache.get(path, lambda: _decode(path))
        except (OSError, preprocessing.UnreadableImageError) as error:
            warnings.warn(f"{path} is left out: {error}", UnreadableImageWarning, stacklevel=2)
            return False
        return True


def _decode(path: pathlib.Path) -> np.ndarray:
    return np.asarray(preprocessing.decode(path.read_bytes(), shrink_to=SHORT_SIDE))


def _brings_splits(root: pathlib.Path) -> bool:
    """Whether `root/train` holds classes (pictures of trains may well be a class `train`)."""
    return (root / "train").is_dir() and bool(_classes(root / "train"))


def _classes(root: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Returns the image files of each sub-folder that has any."""
    found = {
        folder.name: sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    }
    return {name: paths for name, paths in found.items() if paths}


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
