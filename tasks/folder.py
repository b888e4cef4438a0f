"""A user's own images: a folder with one sub-folder a class.

Licence: the user's.
Sizes: PNG, JPEG, WebP, GIF, BMP and TIFF files, and HEIC where pillow-heif is installed; at least
  two classes, with three images each unless the folder brings its own splits: folders train,
  validation and perhaps test, each with one sub-folder a class. Otherwise 70 % of each class train,
  15 % validate and 15 % test, chosen by file name and so alike on every machine. Of images with the
  same pixels one is used; those that look alike stay on one side. Images are read with a short
  side of at most 256 pixels. docs/folders.md has the rules.
Command: launch/train --tasks=folder:PATH
Expected: nothing is known about the images.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters import image_kinds
from adapters.preprocessing import Preprocessing
from tasks import digest, pixels
from tasks.cutting import SPLITS
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory, count
from tasks.listing import FolderError, ListedImage, list_folder
from tasks.sorting import Sorter
from tasks.task import Task

PREFIX = "folder:"


def folder_task(path: str) -> Task:
    """Returns the task of the folder `path`, named after it.

    Raises FolderError.
    """
    root = pathlib.Path(path).expanduser()
    if not path or not root.is_dir():
        raise FolderError(f"there is no folder {path!r}; write {PREFIX}PATH, with sub-folders.")
    root = root.resolve()
    listing = list_folder(root)
    labels = listing.labels()
    if not listing.splits:
        for label in labels:
            number = sum(image.label == label for image in listing.images)
            if number < len(SPLITS):
                others = listing.not_read(label)
                raise FolderError(
                    f"{root / label} holds {count(number, 'image')}"
                    f"{f' ({others})' if others else ''}; a class needs three, one for each of "
                    f"{', '.join(SPLITS)}."
                )
    if len(labels) < 2:
        raise FolderError(
            f"{root} holds {count(len(labels), 'class')} of images; two sub-folders or more are "
            f"needed. Images are files ending in {', '.join(image_kinds.read_endings())}."
        )
    return Task(
        name=root.name,
        source=Folder(str(root)),
        labels=tuple(labels),
        description=__doc__,
        expected=(0.0, 1.0),
        splits=listing.splits or SPLITS,
        fit="crop",
    )


@dataclasses.dataclass(frozen=True)
class Folder:
    """A source that reads image files where they lie."""

    path: str

    def open(self, task: Task, split: str, data_dir: str | None) -> "_Images":
        """Opens a split. The first time all files are read once, and what is odd is warned of.

        Raises FolderError where what the folder holds is no task: see `tasks.sorting.Sorter`.
        """
        del data_dir
        images = self._sorter.sorted().images[split]
        labelled = [(image, task.labels.index(image.label)) for image in images]
        return _Images(self._sorter.files, labelled)

    def open_for(self, size: int, task: Task, split: str, data_dir: str | None) -> "_Images":
        """Opens a split for a network whose images have this side; raises as `open`."""
        return self.open(task, split, data_dir).read_at(pixels.short_side_for(size))

    def contents(self, task: Task, split: str, data_dir: str | None) -> digest.Contents:
        """The digest of the files that a split uses, by label and name; raises as `open`."""
        del task, data_dir
        images = self._sorter.sorted().images[split]
        return digest.of_files((f"{image.label}/{image.name}", image.path) for image in images)

    def inventory(self) -> Inventory:
        """What the folder holds; reads it, as `open` does."""
        return self._sorter.sorted().inventory

    @functools.cached_property
    def _sorter(self) -> Sorter:
        return Sorter(pathlib.Path(self.path))


class _Images:
    """Random access to image files."""

    def __init__(
        self,
        files: ImageFiles,
        images: Sequence[tuple[ListedImage, int]],
        short_side: int = pixels.SHORT_SIDE,
    ):
        self._files, self._images, self._short_side = files, images, short_side

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        image, _ = self._images[index]
        return {**self.known(index), "image": self._files.pixels(image, self._short_side)}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[index] for index in range(len(self)))

    def read_at(self, short_side: int) -> "_Images":
        """The same images, those with a longer short side shrunk to this one."""
        return _Images(self._files, self._images, short_side)

    def known(self, index: int) -> Mapping[str, Any]:
        """An example without its image."""
        image, label = self._images[index]
        return {"name": image.name, "label": label}

    def prepared(self, index: int, how: Preprocessing) -> Mapping[str, Any]:
        """An example whose image is the network's pixels of the whole file."""
        image, _ = self._images[index]
        return {**self.known(index), "image": self._files.prepared(image, how)}
