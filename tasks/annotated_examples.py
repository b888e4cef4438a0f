"""Image files of a split and what is said of each, read where they lie."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy.typing as npt

from adapters import preprocessing
from tasks import pixels
from tasks.image_files import ImageFiles
from tasks.listing import ListedImage


class AnnotatedImage(Protocol):
    """An image file, and what is said of it.

    Attributes:
      file: of the image.
      shape: (H, W) of the image as it is seen.
      said: others where other things are said.
    """

    @property
    def file(self) -> ListedImage: ...

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def said(self) -> bytes: ...


Own = TypeVar("Own", bound=AnnotatedImage)


class AnnotatedExamples(Generic[Own]):
    """Random access to image files and their targets.

    Args:
      files: reads the images.
      images: in the order of their numbers.
      target: what the head calls that which is said of them.
      read: the target of an image; picklable.
      short_side: images are shrunk to it where theirs is longer, pixels.
    """

    def __init__(
        self,
        files: ImageFiles,
        images: Sequence[Own],
        target: str,
        read: Callable[[Own], npt.NDArray[Any]],
        short_side: int = pixels.SHORT_SIDE,
    ):
        self._files, self._images = files, images
        self._target, self._read, self._short_side = target, read, short_side

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        image = self._files.pixels(self._images[index].file, self._short_side)
        return {**self.known(index), "image": image}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[index] for index in range(len(self)))

    def read_at(self, short_side: int) -> Self:
        """The same images, those with a longer short side shrunk to this one."""
        return type(self)(self._files, self._images, self._target, self._read, short_side)

    def known(self, index: int) -> Mapping[str, Any]:
        """An example without its image."""
        own = self._images[index]
        return {"name": own.file.name, self._target: self._read(own)}

    def file(self, index: int) -> bytes:
        """An example's image file."""
        return self._images[index].file.path.read_bytes()

    def prepared(self, index: int, how: preprocessing.Preprocessing) -> Mapping[str, Any]:
        """An example whose image is the network's pixels of the whole file."""
        own = self._images[index]
        image = self._files.prepared(own.file, how)
        return {**self.known(index), "image": image, "shape": own.shape}


class MappedExamples(AnnotatedExamples[Own]):
    """Examples whose target has a number for every pixel, [H, W] int32, -1 where none counts."""

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        example = super().__getitem__(index)
        height, width, _ = example["image"].shape
        small = preprocessing.resize_classes(example[self._target], height, width)
        return {**example, self._target: small}
