"""A user's own images with boxes: a folder of images and a COCO file of annotations.

Licence: the user's.
Sizes: those of the images that the file lists. 70 % train, 15 % validate and 15 % test, chosen by
  file name and so alike on every machine. Of images with the same pixels one is used; those that
  look alike stay on one side. docs/folders.md has the rules.
Command: launch/train --tasks=coco:IMAGES,ANNOTATIONS
Expected: nothing is known about the images.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from tasks import coco_annotations
from tasks.annotated import AnnotatedSource, annotated_task, places
from tasks.annotated_examples import AnnotatedExamples
from tasks.coco_annotations import Annotations
from tasks.coco_sorting import Array, BoxedImage, sort
from tasks.cutting import UNCHANGED, Cut
from tasks.detectors import HEAD
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory
from tasks.task import Task

KIND = "coco"
COLUMNS = ()
"""What has another name in some files: nothing, the format is fixed."""


def coco_task(
    place: str,
    name: str | None = None,
    cut: Cut = UNCHANGED,
    columns: Mapping[str, str] = MappingProxyType({}),
) -> Task:
    """The task of `IMAGES,ANNOTATIONS`, a folder and a COCO file, named after the folder.

    Raises FolderError.
    """
    del columns
    spelling = f"{KIND}:IMAGES,ANNOTATIONS"
    folder, file = places(place, spelling, "their COCO file", pathlib.Path.is_file)
    source = Coco(str(folder), str(file), cut)
    return annotated_task(source, name, source.labels, HEAD, __doc__)


@dataclasses.dataclass(frozen=True)
class Coco(AnnotatedSource[BoxedImage]):
    """Images and their boxes, from a COCO file."""

    COUNTED: ClassVar[str] = "object"

    @property
    def labels(self) -> tuple[str, ...]:
        """The categories of which there are objects."""
        return tuple(self._read.labels[number] for number in self._numbers)

    def sort(self, files: ImageFiles) -> tuple[dict[str, list[BoxedImage]], Inventory]:
        """The images of each split, and what was found. Raises FolderError."""
        return sort(pathlib.Path(self.images), self._read, self._numbers, files, self.cut)

    def examples(
        self, files: ImageFiles, images: Sequence[BoxedImage]
    ) -> AnnotatedExamples[BoxedImage]:
        """Random access to some of them."""
        return AnnotatedExamples(files, images, "objects", _objects_of)

    @functools.cached_property
    def _read(self) -> Annotations:
        return coco_annotations.read(pathlib.Path(self.beside))

    @property
    def _numbers(self) -> list[int]:
        return sorted({int(label) for image in self._read.images for label in image.labels})


def _objects_of(image: BoxedImage) -> Array:
    return image.objects
