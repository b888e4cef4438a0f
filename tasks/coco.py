"""A user's own images with objects: a folder of images and a COCO file of annotations.

Licence: the user's.
Sizes: those of the images that the file lists. 70 % train, 15 % validate and 15 % test, chosen by
  file name and so alike on every machine. Of images with the same pixels one is used; those that
  look alike stay on one side. docs/folders.md has the rules.
Command: launch/train --tasks=coco:IMAGES,ANNOTATIONS, with (head=segmentation) after it where a
  class is wanted of every pixel, or (head=panoptic) a segment.
Expected: nothing is known about the images.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from adapters.errors import UnknownNameError
from tasks import coco_annotations
from tasks.annotated import AnnotatedSource, annotated_task, places
from tasks.annotated_examples import AnnotatedExamples
from tasks.coco_annotations import Annotations
from tasks.coco_masks import CocoMasks
from tasks.coco_sorting import Array, BoxedImage, sort
from tasks.cutting import UNCHANGED, Cut
from tasks.detectors import HEAD
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory
from tasks.listing import FolderError
from tasks.panoptic import head_for
from tasks.task import Task

KIND = "coco"
LEARNED, REST = "head", "rest"
COLUMNS = (LEARNED, REST)
"""What a user may say: the head, and what pixels of no object are called."""

BACKGROUND = "background"
UNCOUNTED = "none"
_TARGETS = {"segmentation": "classes", "panoptic": "segments"}
_BOXES = HEAD.partition("(")[0]


def coco_task(
    place: str,
    name: str | None = None,
    cut: Cut = UNCHANGED,
    columns: Mapping[str, str] = MappingProxyType({}),
) -> Task:
    """The task of `IMAGES,ANNOTATIONS`, a folder and a COCO file, named after the folder.

    Its head finds boxes, unless `columns` calls `head` one that tells each pixel's class or
    segment: then outlines are drawn, and pixels of no object are of the class that `rest` says,
    `background` by default, or do not count, with `none`.

    Raises FolderError, and UnknownNameError for another head.
    """
    spelling = f"{KIND}:IMAGES,ANNOTATIONS"
    folder, file = places(place, spelling, "their COCO file", pathlib.Path.is_file)
    head, rest = columns.get(LEARNED, _BOXES), columns.get(REST, BACKGROUND)
    if head not in (_BOXES, *_TARGETS):
        raise UnknownNameError("head of a COCO file", head, (_BOXES, *_TARGETS))
    if head == _BOXES:
        if REST in columns:
            raise FolderError(
                f"{REST}={rest} says what pixels of no object are, and the head {_BOXES} learns "
                f"boxes: say {LEARNED}={' or '.join(_TARGETS)} beside it."
            )
        source = Coco(str(folder), str(file), cut)
        return annotated_task(source, name, source.labels, HEAD, __doc__)
    if not rest:
        raise FolderError(
            f"{REST}= says nothing: give the label of pixels of no object, or {UNCOUNTED} where "
            "they do not count."
        )
    label = "" if rest == UNCOUNTED else rest
    drawn = CocoMasks(str(folder), str(file), cut, _TARGETS[head], label)
    if head == "panoptic":
        head = head_for(drawn.surfaces, drawn.most)
    return annotated_task(drawn, name, drawn.labels, head, __doc__)


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
