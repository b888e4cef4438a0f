"""A user's own images with a segment for every pixel: a folder of images and COCO's annotations.

Licence: the user's.
Sizes: those of the images that the file lists. 70 % train, 15 % validate and 15 % test, chosen by
  file name and so alike on every machine. Of images with the same pixels one is used; those that
  look alike stay on one side. docs/folders.md has the rules.
Command: launch/train --tasks=panoptic:IMAGES,ANNOTATIONS
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

from tasks import panoptic_annotations
from tasks.annotated import AnnotatedSource, annotated_task, places
from tasks.annotated_examples import MappedExamples
from tasks.cutting import UNCHANGED, Cut
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory
from tasks.listing import FolderError
from tasks.panoptic_annotations import PanopticAnnotations
from tasks.panoptic_sorting import SegmentedImage, read_segments, sort
from tasks.task import Task

KIND = "panoptic"
COLUMNS = ()
"""What has another name in some files: nothing, the format is fixed."""

_LEAST_QUERIES = 16


def panoptic_task(
    place: str,
    name: str | None = None,
    cut: Cut = UNCHANGED,
    columns: Mapping[str, str] = MappingProxyType({}),
) -> Task:
    """The task of `IMAGES,ANNOTATIONS`, a folder and a COCO file, named after the folder.

    Files of segments lie beside the file of annotations, in a folder that is called as it is but
    for the ending. The head can tell as many segments as the image with most has.

    Raises FolderError.
    """
    del columns
    folder, file = places(
        place,
        f"{KIND}:IMAGES,ANNOTATIONS",
        "their COCO file, something.json",
        lambda file: file.is_file() and bool(file.suffix),
    )
    beside = file.with_suffix("")
    if not beside.is_dir():
        raise FolderError(f"there is no folder {str(beside)!r}, where the segments of {file} lie.")
    source = Panoptic(str(folder), str(file), cut)
    read = source.read
    head = head_for(read.surfaces, read.most)
    return annotated_task(source, name, read.labels, head, __doc__)


def head_for(surfaces: int, most: int) -> str:
    """The head of a task whose first labels are `surfaces`, with `most` segments in an image."""
    return f"panoptic(stuff={surfaces}, queries={max(_LEAST_QUERIES, most)})"


@dataclasses.dataclass(frozen=True)
class Panoptic(AnnotatedSource[SegmentedImage]):
    """Images and the files of their segments."""

    COUNTED: ClassVar[str] = "segment"

    @functools.cached_property
    def read(self) -> PanopticAnnotations:
        """What the file of annotations says."""
        return panoptic_annotations.read(pathlib.Path(self.beside))

    def sort(self, files: ImageFiles) -> tuple[dict[str, list[SegmentedImage]], Inventory]:
        """The images of each split, and what was found. Raises FolderError."""
        segments = pathlib.Path(self.beside).with_suffix("")
        return sort(pathlib.Path(self.images), segments, self.read, files, self.cut)

    def examples(
        self, files: ImageFiles, images: Sequence[SegmentedImage]
    ) -> MappedExamples[SegmentedImage]:
        """Random access to some of them."""
        return MappedExamples(files, images, "segments", _segments_of)


def _segments_of(image: SegmentedImage) -> npt.NDArray[np.int32]:
    return read_segments(image.png, image.segments)
