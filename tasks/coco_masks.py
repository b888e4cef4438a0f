"""Images with a class or a segment for every pixel, drawn from the outlines in a COCO file."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import ClassVar

from tasks import coco_regions
from tasks.annotated import AnnotatedSource
from tasks.annotated_examples import MappedExamples
from tasks.coco_region_sorting import Numbering, RegionedImage, numbers_of, sort
from tasks.coco_regions import RegionAnnotations
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory
from tasks.panoptic_annotations import MOST_SEGMENTS


@dataclasses.dataclass(frozen=True)
class CocoMasks(AnnotatedSource[RegionedImage]):
    """Images and the pixels of their objects, from a COCO file.

    target: `classes` of the pixels, or `segments`, which tell objects of one class apart.
    rest: the label of pixels of no object; "" where they do not count.
    """

    target: str = "classes"
    rest: str = ""

    COUNTED: ClassVar[str] = "pixel"

    @property
    def labels(self) -> tuple[str, ...]:
        """The rest, where it has a label, and the categories of which there are objects."""
        return self._numbering.labels

    @property
    def surfaces(self) -> int:
        """How many labels, the first ones, are of surfaces."""
        return self._numbering.surfaces

    @property
    def most(self) -> int:
        """Segments that an image can have."""
        counts = (sum(own.label >= 0 for own in image.regions) for image in self._read.images)
        return min(max(counts) + self.surfaces, MOST_SEGMENTS)

    def sort(self, files: ImageFiles) -> tuple[dict[str, list[RegionedImage]], Inventory]:
        """The images of each split, and what was found. Raises FolderError."""
        return sort(pathlib.Path(self.images), self._read, self._numbering, files, self.cut)

    def examples(
        self, files: ImageFiles, images: Sequence[RegionedImage]
    ) -> MappedExamples[RegionedImage]:
        """Random access to some of them."""
        return MappedExamples(files, images, self.target, numbers_of)

    @functools.cached_property
    def _read(self) -> RegionAnnotations:
        return coco_regions.read(pathlib.Path(self.beside))

    @property
    def _numbering(self) -> Numbering:
        own = self._read.labels
        first = (self.rest,) if self.rest else ()
        labels = (*first, *(label for label in own if label != self.rest))
        places = tuple(map(labels.index, own))
        return Numbering(labels, places, bool(self.rest), self.target == "segments")
