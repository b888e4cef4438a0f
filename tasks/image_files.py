"""Image files, each read once: what is known of it, and its pixels while memory lasts."""

import concurrent.futures
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters import preprocessing
from tasks import pixels
from tasks.listing import ListedImage
from tasks.looks import Look, look


class Facts(NamedTuple):
    """What is known of an image file.

    Attributes:
      digest: SHA-256 of its pixels as a task gives them, and of their shape; b"" if unreadable.
      look: what it looks like.
      fault: why it cannot be read; "" if it can.
    """

    digest: bytes
    look: Look | None
    fault: str


class ImageFiles:
    """Reads image files; one that changes is another. Sent to another process it arrives empty."""

    def __init__(self) -> None:
        self._pixels = pixels.PixelCache()
        self._facts: dict[tuple[pathlib.Path, tuple[int, int, int]], Facts] = {}

    def pixels(
        self, image: ListedImage, short_side: int = pixels.SHORT_SIDE
    ) -> npt.NDArray[np.uint8]:
        """The pixels of a file, uint8 [H, W, 3], shrunk where they are more.

        Raises UnreadableImageError, OSError.
        """
        key = (image.path, image.state, short_side)
        return self._pixels.get(key, lambda: _decode(image, short_side))

    def prepared(
        self, image: ListedImage, how: preprocessing.Preprocessing
    ) -> npt.NDArray[np.uint8]:
        """A network's pixels [size, size, 3] of a whole file: those that servers and devices make.

        Raises UnreadableImageError, OSError.
        """

        def make() -> npt.NDArray[np.uint8]:
            whole = preprocessing.decode(image.path.read_bytes(), how.background)
            return preprocessing.prepare(whole, how)

        key = (image.path, image.state, how.size, how.fit, how.background)
        return self._pixels.get(key, make)

    def facts(self, images: Sequence[ListedImage]) -> list[Facts]:
        """What is known of each file; those that are new are read, as many at once as CPUs."""
        new = [one for one in images if (one.path, one.state) not in self._facts]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
            for image, known in zip(new, threads.map(self._read, new), strict=True):
                self._facts[image.path, image.state] = known
        return [self._facts[image.path, image.state] for image in images]

    def _read(self, image: ListedImage) -> Facts:
        try:
            values = self.pixels(image)
        except OSError as error:
            return Facts(b"", None, f"it cannot be opened: {error.strerror}.")
        except preprocessing.UnreadableImageError as error:
            return Facts(b"", None, str(error))
        digest = hashlib.sha256(repr(values.shape).encode() + values.tobytes()).digest()
        return Facts(digest, look(Image.fromarray(values)), "")

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageFiles, ()


def _decode(image: ListedImage, short_side: int) -> npt.NDArray[np.uint8]:
    return np.asarray(preprocessing.decode(image.path.read_bytes(), shrink_to=short_side))
