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
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from adapters.preprocessing import Preprocessing
from tasks import coco_annotations, digest, pixels
from tasks.augmentation import Augmentation
from tasks.coco_annotations import Annotations
from tasks.coco_sorting import BoxedImage, sort
from tasks.cutting import UNCHANGED, Cut
from tasks.detectors import HEAD
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory, count
from tasks.listing import FolderError
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
    images, between, annotations = place.partition(",")
    folder, file = (pathlib.Path(part).expanduser() for part in (images, annotations))
    if not between or not images or not folder.is_dir() or not file.is_file():
        missing = annotations if folder.is_dir() and images else images
        raise FolderError(
            f"there is no {missing!r}; write {KIND}:IMAGES,ANNOTATIONS, with the folder of the "
            "images and their COCO file."
        )
    source = Coco(str(folder.resolve()), str(file.resolve()), cut)
    return Task(
        name=name or folder.resolve().name,
        source=source,
        labels=source.labels,
        description=__doc__,
        expected=(0.0, 1.0),
        splits=cut.splits,
        augmentation=Augmentation(crop=(0.5, 1.0)),
        head=HEAD,
    )


@dataclasses.dataclass(frozen=True)
class Coco:
    """A source that reads image files where they lie, and their boxes from a COCO file."""

    images: str
    annotations: str
    cut: Cut = UNCHANGED

    @property
    def place(self) -> str:
        """How a user spells where it lies."""
        return f"{self.images},{self.annotations}"

    @property
    def labels(self) -> tuple[str, ...]:
        """The categories of which there are objects."""
        return tuple(self._read.labels[number] for number in self._numbers)

    def open(self, task: Task, split: str, data_dir: str | None) -> "_Images":
        """Opens a split. The first time all files are read once, and what is odd is warned of.

        Raises FolderError where nothing is left for a split.
        """
        del task, data_dir
        return _Images(self._files, self._sorted[0][split])

    def open_for(self, size: int, task: Task, split: str, data_dir: str | None) -> "_Images":
        """Opens a split for a network whose images have this side; raises as `open`."""
        return self.open(task, split, data_dir).read_at(pixels.short_side_for(size))

    def contents(self, task: Task, split: str, data_dir: str | None) -> digest.Contents:
        """The digest of the files that a split uses, by their objects and names."""
        del task, data_dir
        return digest.of_files(
            (f"{own.objects.tobytes().hex()}/{own.file.name}", own.file.path)
            for own in self._sorted[0][split]
        )

    def inventory(self) -> Inventory:
        """What was found; reads it, as `open` does."""
        return self._sorted[1]

    @functools.cached_property
    def _read(self) -> Annotations:
        return coco_annotations.read(pathlib.Path(self.annotations))

    @property
    def _numbers(self) -> list[int]:
        return sorted({int(label) for image in self._read.images for label in image.labels})

    @functools.cached_property
    def _files(self) -> ImageFiles:
        return ImageFiles()

    @functools.cached_property
    def _sorted(self) -> tuple[dict[str, list[BoxedImage]], Inventory]:
        found, inventory = sort(
            pathlib.Path(self.images), self._read, self._numbers, self._files, self.cut
        )
        for said in inventory.warnings():
            warnings.warn(type(said)(f"{pathlib.Path(self.images).name}: {said}."), stacklevel=2)
        for split, own in found.items():
            if not any(len(image.objects) for image in own):
                raise FolderError(
                    f"{self.images}: no object is left for {split}; the warnings say what was left "
                    f"out. {count(sum(map(len, found.values())), 'image')} can be used."
                )
        return found, inventory


class _Images:
    """Random access to image files and their objects."""

    def __init__(
        self,
        files: ImageFiles,
        images: Sequence[BoxedImage],
        short_side: int = pixels.SHORT_SIDE,
    ):
        self._files, self._images, self._short_side = files, images, short_side

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        image = self._files.pixels(self._images[index].file, self._short_side)
        return {**self.known(index), "image": image}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[index] for index in range(len(self)))

    def read_at(self, short_side: int) -> "_Images":
        """The same images, those with a longer short side shrunk to this one."""
        return _Images(self._files, self._images, short_side)

    def known(self, index: int) -> Mapping[str, Any]:
        """An example without its image."""
        own = self._images[index]
        return {"name": own.file.name, "objects": own.objects}

    def file(self, index: int) -> bytes:
        """An example's image file."""
        return self._images[index].file.path.read_bytes()

    def prepared(self, index: int, how: Preprocessing) -> Mapping[str, Any]:
        """An example whose image is the network's pixels of the whole file."""
        own = self._images[index]
        image = self._files.prepared(own.file, how)
        return {**self.known(index), "image": image, "shape": (own.height, own.width)}
