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
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tasks import mask_files
from tasks.annotated import AnnotatedSource, annotated_task, places
from tasks.annotated_examples import MappedExamples
from tasks.cutting import UNCHANGED, Cut
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory
from tasks.listing import FolderError
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
    folder, masks = places(
        place, f"{KIND}:IMAGES,MASKS", "that of their masks", pathlib.Path.is_dir
    )
    given = columns.get(IGNORED, str(_VOID))
    if not (given.isascii() and given.isdecimal()) or int(given) > mask_files.LARGEST:
        raise FolderError(
            f"{IGNORED}={given} is no number of a mask's pixels: give one from 0 to "
            f"{mask_files.LARGEST}."
        )
    labels = mask_files.labels_in(masks)
    source = Masks(str(folder), str(masks), cut, labels, int(given))
    return annotated_task(source, name, labels, "segmentation", __doc__)


@dataclasses.dataclass(frozen=True)
class Masks(AnnotatedSource[MaskedImage]):
    """Images and their masks; `labels` of the classes, `ignored` the number of none."""

    labels: tuple[str, ...] = ()
    ignored: int = _VOID

    COUNTED: ClassVar[str] = "pixel"

    def sort(self, files: ImageFiles) -> tuple[dict[str, list[MaskedImage]], Inventory]:
        """The images of each split, and what was found. Raises FolderError."""
        folders = pathlib.Path(self.images), pathlib.Path(self.beside)
        return sort(*folders, self.labels, self._classes, files, self.cut)

    def examples(
        self, files: ImageFiles, images: Sequence[MaskedImage]
    ) -> MappedExamples[MaskedImage]:
        """Random access to some of them."""
        read = functools.partial(_classes_of, classes=self._classes)
        return MappedExamples(files, images, "classes", read)

    @property
    def _classes(self) -> Classes:
        return Classes(len(self.labels), self.ignored)


def _classes_of(image: MaskedImage, classes: Classes) -> npt.NDArray[np.int32]:
    return read_mask(image.mask, classes)
