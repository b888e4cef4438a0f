"""Image files whose every pixel has a number, of a class or a segment, read where they lie."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from adapters import preprocessing
from tasks import pixels
from tasks.image_files import ImageFiles
from tasks.listing import ListedImage


class MappedImage(Protocol):
    """An image file, and what tells the numbers of its pixels."""

    @property
    def file(self) -> ListedImage: ...


Mapped = TypeVar("Mapped", bound=MappedImage)


class MappedImages(Generic[Mapped]):
    """Random access to image files and the numbers of their pixels.

    Args:
      files: reads the images.
      images: in the order of their numbers.
      target: what the numbers are called.
      read: the numbers of an image's pixels, [H, W] int32, -1 where one does not count; picklable.
      short_side: images are shrunk to it where theirs is longer, pixels.
    """

    def __init__(
        self,
        files: ImageFiles,
        images: Sequence[Mapped],
        target: str,
        read: Callable[[Mapped], npt.NDArray[np.int32]],
        short_side: int = pixels.SHORT_SIDE,
    ):
        self._files, self._images = files, images
        self._target, self._read, self._short_side = target, read, short_side

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        known = self.known(index)
        image = self._files.pixels(self._images[index].file, self._short_side)
        small = preprocessing.resize_classes(known[self._target], *image.shape[:2])
        return {**known, self._target: small, "image": image}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[index] for index in range(len(self)))

    def read_at(self, short_side: int) -> "MappedImages[Mapped]":
        """The same images, those with a longer short side shrunk to this one."""
        return MappedImages(self._files, self._images, self._target, self._read, short_side)

    def known(self, index: int) -> Mapping[str, Any]:
        """An example without its image."""
        own = self._images[index]
        return {"name": own.file.name, self._target: self._read(own)}

    def file(self, index: int) -> bytes:
        """An example's image file."""
        return self._images[index].file.path.read_bytes()

    def prepared(self, index: int, how: preprocessing.Preprocessing) -> Mapping[str, Any]:
        """An example whose image is the network's pixels of the whole file."""
        known = self.known(index)
        image = self._files.prepared(self._images[index].file, how)
        return {**known, "image": image, "shape": known[self._target].shape}
