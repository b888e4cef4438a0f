"""A user's own images: a folder with one sub-folder a class.

Licence: the user's.
Sizes: PNG, JPEG, WebP, GIF, BMP and TIFF files, and HEIC where pillow-heif is installed; at least
  two classes, with three images each unless the folder brings its own splits: folders train,
  validation and perhaps test, each with one sub-folder a class. Otherwise 70 % of each class train,
  15 % validate and 15 % test, chosen by file name and so alike on every machine, unless the task
  says otherwise. Of images with the same pixels one is used; those that look alike stay on one
  side. docs/folders.md has the rules.
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
from tasks.cutting import UNCHANGED, Cut, needed
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory, count
from tasks.listing import FolderError, ListedImage, Listing, list_folder
from tasks.metadata import columns_of, list_metadata
from tasks.sorting import Sorter
from tasks.task import Task

KIND = "folder"
COLUMNS = ("label",)


def folder_task(
    path: str,
    name: str | None = None,
    cut: Cut = UNCHANGED,
    columns: Mapping[str, str] | None = None,
) -> Task:
    """Returns the task of the folder `path`, named after it unless it is given a `name`.

    Labels are those of its `tasks.metadata`, or the names of sub-folders; `columns` says what
    `label` is called in the former.

    Raises FolderError.
    """
    root = pathlib.Path(path).expanduser()
    if not path or not root.is_dir():
        raise FolderError(f"there is no folder {path!r}; write {KIND}:PATH, with sub-folders.")
    root = root.resolve()
    label = (columns or {}).get("label")
    listing = list_own(root, label)
    if label is None and len(listing.labels()) < 2 and (others := columns_of(root)):
        raise FolderError(
            f"{root} has metadata without the column label; of {', '.join(others)} say which it "
            f"is: {KIND}:{path}(label={others[0]})."
        )
    return task_of(root, Folder(str(root), cut, (label,)), name or root.name, listing, __doc__)


def task_of(
    place: pathlib.Path, source: "Folder", name: str, listing: Listing, description: str
) -> Task:
    """The task of images that were listed at a place. Raises FolderError for too few of them."""
    labels, splits = listing.labels(), listing.splits or source.cut.splits
    if listing.splits and source.cut != UNCHANGED:
        raise FolderError(
            f"{place} brings the splits {', '.join(listing.splits)}: leave `split` and `seed` out, "
            "or take the splits apart."
        )
    if len(labels) < 2:
        raise FolderError(
            f"{place} holds {count(len(labels), 'class')} of images that are there; two are needed "
            "or more, in a folder one sub-folder each. Images are files ending in "
            f"{', '.join(image_kinds.read_endings())}."
        )
    if not listing.splits:
        for label in labels:
            number = sum(image.label == label for image in listing.images)
            if number < len(splits):
                others = listing.not_read(label)
                raise FolderError(
                    f"{place / label} holds {count(number, 'image')}"
                    f"{f' ({others})' if others else ''}; a class needs "
                    f"{needed(splits)}."
                )
    return Task(
        name=name,
        source=source,
        labels=tuple(labels),
        description=description,
        expected=(0.0, 1.0),
        splits=splits,
        fit="crop",
    )


def list_own(root: pathlib.Path, label: str | None) -> Listing:
    """What a folder's metadata names, or, where it has no labels, what lies in its sub-folders."""
    return list_metadata(root, label) or list_folder(root)


@dataclasses.dataclass(frozen=True)
class Folder:
    """A source that reads image files where they lie.

    Attributes:
      path: of the folder.
      cut: how its images are cut where it brings no splits.
      columns: what the label is called in its metadata, where that is said.
    """

    path: str
    cut: Cut = UNCHANGED
    columns: tuple[str | None, ...] = (None,)

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
        root, (label,) = pathlib.Path(self.path), self.columns
        return Sorter(root, functools.partial(list_own, root, label), self.cut)


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

    def file(self, index: int) -> bytes:
        """An example's image file."""
        return self._images[index][0].path.read_bytes()

    def prepared(self, index: int, how: Preprocessing) -> Mapping[str, Any]:
        """An example whose image is the network's pixels of the whole file."""
        image, _ = self._images[index]
        return {**self.known(index), "image": self._files.prepared(image, how)}
