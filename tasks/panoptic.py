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
import warnings
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tasks import digest, panoptic_annotations, pixels
from tasks.augmentation import Augmentation
from tasks.cutting import UNCHANGED, Cut
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory, InventoryWarning, few
from tasks.listing import FolderError
from tasks.mapped_images import MappedImages
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
    images, between, annotations = place.partition(",")
    folder, file = (pathlib.Path(part).expanduser() for part in (images, annotations))
    if not (between and images and folder.is_dir() and file.is_file() and file.suffix):
        missing = annotations if folder.is_dir() and images else images
        raise FolderError(
            f"there is no {missing!r}; write {KIND}:IMAGES,ANNOTATIONS, with the folder of the "
            "images and their COCO file, something.json."
        )
    beside = file.with_suffix("")
    if not beside.is_dir():
        raise FolderError(f"there is no folder {str(beside)!r}, where the segments of {file} lie.")
    source = Panoptic(str(folder.resolve()), str(file.resolve()), cut)
    read = source.read
    return Task(
        name=name or folder.resolve().name,
        source=source,
        labels=read.labels,
        description=__doc__,
        expected=(0.0, 1.0),
        splits=cut.splits,
        augmentation=Augmentation(crop=(0.5, 1.0)),
        head=f"panoptic(stuff={read.surfaces}, queries={max(_LEAST_QUERIES, read.most)})",
    )


@dataclasses.dataclass(frozen=True)
class Panoptic:
    """A source that reads image files and those of their segments where they lie."""

    images: str
    annotations: str
    cut: Cut = UNCHANGED

    @property
    def place(self) -> str:
        """How a user spells where it lies."""
        return f"{self.images},{self.annotations}"

    @functools.cached_property
    def read(self) -> PanopticAnnotations:
        """What the file of annotations says."""
        return panoptic_annotations.read(pathlib.Path(self.annotations))

    def open(self, task: Task, split: str, data_dir: str | None) -> MappedImages[SegmentedImage]:
        """Opens a split. The first time all files are read once, and what is odd is warned of.

        Raises FolderError where too little is left.
        """
        del task, data_dir
        return MappedImages(self._files, self._sorted[0][split], "segments", _segments_of)

    def open_for(
        self, size: int, task: Task, split: str, data_dir: str | None
    ) -> MappedImages[SegmentedImage]:
        """Opens a split for a network whose images have this side; raises as `open`."""
        return self.open(task, split, data_dir).read_at(pixels.short_side_for(size))

    def contents(self, task: Task, split: str, data_dir: str | None) -> digest.Contents:
        """The digest of the files that a split uses, by their segments and names."""
        del task, data_dir
        return digest.of_files(
            (f"{own.digest.hex()}/{own.file.name}", own.file.path) for own in self._sorted[0][split]
        )

    def inventory(self) -> Inventory:
        """What was found; reads it, as `open` does."""
        return self._sorted[1]

    @functools.cached_property
    def _files(self) -> ImageFiles:
        return ImageFiles()

    @functools.cached_property
    def _sorted(self) -> tuple[dict[str, list[SegmentedImage]], Inventory]:
        folder = pathlib.Path(self.images)
        found, inventory = sort(
            folder,
            pathlib.Path(self.annotations).with_suffix(""),
            self.read,
            self._files,
            self.cut,
        )
        said = inventory.warnings()
        if lacking := inventory.lacking.get("train"):
            said.append(InventoryWarning(f"no segment to train on is of {few(lacking)}"))
        for one in said:
            warnings.warn(type(one)(f"{folder.name}: {one}."), stacklevel=2)
        return found, inventory


def _segments_of(image: SegmentedImage) -> npt.NDArray[np.int32]:
    return read_segments(image.png, image.segments)
