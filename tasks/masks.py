"""A user's own images with a class for every pixel: a folder of images and one of masks.

Licence: the user's.
Sizes: those of the images that have a mask. 70 % train, 15 % validate and 15 % test, chosen by file
  name and so alike on every machine. Of images with the same pixels one is used; those that look
  alike stay on one side. docs/folders.md has the rules.
Command: launch/train --tasks=masks:IMAGES,MASKS
Expected: nothing is known about the images.
"""

import dataclasses
import functools
import pathlib
import warnings
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tasks import digest, mask_files, pixels
from tasks.augmentation import Augmentation
from tasks.cutting import UNCHANGED, Cut
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory, InventoryWarning, few
from tasks.listing import FolderError
from tasks.mapped_images import MappedImages
from tasks.mask_files import Classes, read_mask
from tasks.mask_sorting import MaskedImage, sort
from tasks.task import Task

KIND = "masks"
IGNORED = "ignored"
COLUMNS = (IGNORED,)
"""What a user may say: the number of pixels that do not count."""

_VOID = 255  # as in PASCAL VOC, and in what this project writes itself


def masks_task(
    place: str,
    name: str | None = None,
    cut: Cut = UNCHANGED,
    columns: Mapping[str, str] = MappingProxyType({}),
) -> Task:
    """The task of `IMAGES,MASKS`, two folders, named after the first one.

    A mask is called as its image is but for the ending, `.png`, and each of its pixels is the
    number of a class, or that which `columns` calls `ignored`. The file `labels.txt` in MASKS has
    the classes' names, one a line, from number 0 on.

    Raises FolderError.
    """
    images, between, masks = place.partition(",")
    folder, beside = (pathlib.Path(part).expanduser() for part in (images, masks))
    if not between or not images or not masks or not folder.is_dir() or not beside.is_dir():
        missing = masks if folder.is_dir() and images else images
        raise FolderError(
            f"there is no folder {missing!r}; write {KIND}:IMAGES,MASKS, with the folder of the "
            "images and that of their masks."
        )
    given = columns.get(IGNORED, str(_VOID))
    if not (given.isascii() and given.isdecimal()) or int(given) > mask_files.LARGEST:
        raise FolderError(
            f"{IGNORED}={given} is no number of a mask's pixels: give one from 0 to "
            f"{mask_files.LARGEST}."
        )
    labels = mask_files.labels_in(beside)
    source = Masks(str(folder.resolve()), str(beside.resolve()), labels, int(given), cut)
    return Task(
        name=name or folder.resolve().name,
        source=source,
        labels=labels,
        description=__doc__,
        expected=(0.0, 1.0),
        splits=cut.splits,
        augmentation=Augmentation(crop=(0.5, 1.0)),
        head="segmentation",
    )


@dataclasses.dataclass(frozen=True)
class Masks:
    """A source that reads image files and their masks where they lie."""

    images: str
    masks: str
    labels: tuple[str, ...]
    ignored: int
    cut: Cut = UNCHANGED

    @property
    def place(self) -> str:
        """How a user spells where it lies."""
        return f"{self.images},{self.masks}"

    def open(self, task: Task, split: str, data_dir: str | None) -> MappedImages[MaskedImage]:
        """Opens a split. The first time all files are read once, and what is odd is warned of.

        Raises FolderError where too little is left.
        """
        del task, data_dir
        read = functools.partial(_classes_of, classes=self._classes)
        return MappedImages(self._files, self._sorted[0][split], "classes", read)

    def open_for(
        self, size: int, task: Task, split: str, data_dir: str | None
    ) -> MappedImages[MaskedImage]:
        """Opens a split for a network whose images have this side; raises as `open`."""
        return self.open(task, split, data_dir).read_at(pixels.short_side_for(size))

    def contents(self, task: Task, split: str, data_dir: str | None) -> digest.Contents:
        """The digest of the files that a split uses, by their masks and names."""
        del task, data_dir
        return digest.of_files(
            (f"{own.digest.hex()}/{own.file.name}", own.file.path) for own in self._sorted[0][split]
        )

    def inventory(self) -> Inventory:
        """What was found; reads it, as `open` does."""
        return self._sorted[1]

    @property
    def _classes(self) -> Classes:
        return Classes(len(self.labels), self.ignored)

    @functools.cached_property
    def _files(self) -> ImageFiles:
        return ImageFiles()

    @functools.cached_property
    def _sorted(self) -> tuple[dict[str, list[MaskedImage]], Inventory]:
        folders = pathlib.Path(self.images), pathlib.Path(self.masks)
        found, inventory = sort(*folders, self.labels, self._classes, self._files, self.cut)
        said = inventory.warnings()
        if lacking := inventory.lacking.get("train"):
            said.append(InventoryWarning(f"no pixel to train on is of {few(lacking)}"))
        for one in said:
            warnings.warn(type(one)(f"{folders[0].name}: {one}."), stacklevel=2)
        return found, inventory


def _classes_of(image: MaskedImage, classes: Classes) -> npt.NDArray[np.int32]:
    return read_mask(image.mask, classes)
