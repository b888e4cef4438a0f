"""What is answered about image files one by one, of which some may be no images."""

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from PIL import Image

from adapters.heads.contract import NoAnswerError
from adapters.preprocessing import UnreadableImageError, decode

Found = TypeVar("Found")


def answered_files(
    paths: Sequence[str],
    background: tuple[int, int, int],
    answer: Callable[[str, Image.Image, str], Found],
    fault: Callable[[str, str], Found],
) -> Iterator[Found]:
    """What is answered about each image file, or why nothing is.

    Args:
      paths: of the files.
      background: that transparent pixels are laid over.
      answer: from a path, its image and a name for pictures of it, `0000_NAME`.
      fault: from a path, and why it cannot be read or answered.
    """
    for number, path in enumerate(paths):
        try:
            image = decode(pathlib.Path(path).read_bytes(), background)
            yield answer(path, image, f"{number:04d}_{pathlib.Path(path).stem}")
        except (OSError, UnreadableImageError, NoAnswerError) as error:
            said = error.strerror if isinstance(error, OSError) else str(error)
            yield fault(path, said or "it cannot be read.")
