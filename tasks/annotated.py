"""A user's own folder of images, and what is said of them beside it: what such sources share."""

import abc
import dataclasses
import functools
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic

from tasks import digest, pixels
from tasks.annotated_examples import AnnotatedExamples, Own
from tasks.augmentation import Augmentation
from tasks.cutting import UNCHANGED, Cut
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory, InventoryWarning, count, few
from tasks.listing import FolderError
from tasks.task import Task


@dataclasses.dataclass(frozen=True)
class AnnotatedSource(abc.ABC, Generic[Own]):
    """A source that reads image files where they lie, and what is said of them beside them.

    images: their folder.
    beside: the file or folder of what is said.
    cut: how images are cut into splits.
    """

    images: str
    beside: str
    cut: Cut = UNCHANGED

    COUNTED: ClassVar[str]
    """One of what the inventory counts and a head learns: `object`, say."""

    @abc.abstractmethod
    def sort(self, files: ImageFiles) -> tuple[dict[str, list[Own]], Inventory]:
        """The images of each split, and what was found. Raises FolderError."""

    @abc.abstractmethod
    def examples(self, files: ImageFiles, images: Sequence[Own]) -> AnnotatedExamples[Own]:
        """Random access to some of those images."""

    @property
    def place(self) -> str:
        """How a user spells where it lies."""
        return f"{self.images},{self.beside}"

    def open(self, task: Task, split: str, data_dir: str | None) -> AnnotatedExamples[Own]:
        """Opens a split. The first time all files are read once, and what is odd is warned of.

        Raises FolderError where nothing is left for a split.
        """
        del task, data_dir
        return self.examples(self._files, self._sorted[0][split])

    def open_for(
        self, size: int, task: Task, split: str, data_dir: str | None
    ) -> AnnotatedExamples[Own]:
        """Opens a split for a network whose images have this side; raises as `open`."""
        return self.open(task, split, data_dir).read_at(pixels.short_side_for(size))

    def contents(self, task: Task, split: str, data_dir: str | None) -> digest.Contents:
        """The digest of the files that a split uses, by what is said of them and their names."""
        del task, data_dir
        return digest.of_files(
            (f"{own.said.hex()}/{own.file.name}", own.file.path) for own in self._sorted[0][split]
        )

    def inventory(self) -> Inventory:
        """What was found; reads it, as `open` does."""
        return self._sorted[1]

    @functools.cached_property
    def _files(self) -> ImageFiles:
        return ImageFiles()

    @functools.cached_property
    def _sorted(self) -> tuple[dict[str, list[Own]], Inventory]:
        found, inventory = self.sort(self._files)
        said = inventory.warnings()
        if lacking := inventory.lacking.get("train"):
            said.append(InventoryWarning(f"no {self.COUNTED} to train on is of {few(lacking)}"))
        for one in said:
            warnings.warn(type(one)(f"{pathlib.Path(self.images).name}: {one}."), stacklevel=2)
        for split, own in inventory.used.items():
            if not any(own.values()):
                raise FolderError(
                    f"{self.images}: no {self.COUNTED} is left for {split}; the warnings say what "
                    f"was left out. {count(sum(map(len, found.values())), 'image')} can be used."
                )
        return found, inventory


def places(
    place: str, spelling: str, beside: str, is_there: Callable[[pathlib.Path], bool]
) -> tuple[pathlib.Path, pathlib.Path]:
    """The folder of images and what lies beside it, as whole paths.

    Args:
      place: both, as a user spells them, with a comma between.
      spelling: how they are spelled.
      beside: what the second one is, in words.
      is_there: whether the second one is what it should be.

    Raises FolderError.
    """
    images, between, second = place.partition(",")
    folder, other = (pathlib.Path(part).expanduser() for part in (images, second))
    if not (between and images and second and folder.is_dir() and is_there(other)):
        missing = second if folder.is_dir() and images else images
        raise FolderError(
            f"there is no {missing!r}; write {spelling}, with the folder of the images and "
            f"{beside}."
        )
    return folder.resolve(), other.resolve()


def annotated_task(
    source: AnnotatedSource[Any],
    name: str | None,
    labels: tuple[str, ...],
    head: str,
    description: str,
) -> Task:
    """The task of a source, called as its folder of images where it has no name."""
    return Task(
        name=name or pathlib.Path(source.images).name,
        source=source,
        labels=labels,
        description=description,
        expected=(0.0, 1.0),
        splits=source.cut.splits,
        augmentation=Augmentation(crop=(0.5, 1.0)),
        head=head,
    )
