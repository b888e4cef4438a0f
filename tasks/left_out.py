"""Images that cannot be used, and why."""

import pathlib
from collections.abc import Sequence

from PIL import ExifTags, Image

from tasks.listing import FolderError, ListedImage


class LeftOutError(FolderError):
    """An image that cannot be used; the message is why, of many such images."""

    def __init__(self, why: str, more: str = ""):
        super().__init__(why)
        self.more = more

    def named(self, name: str) -> str:
        """The image's name, with what is of it alone."""
        return f"{name}, {self.more}" if self.more else name


def seen(path: pathlib.Path, name: str) -> tuple[ListedImage, tuple[int, int]]:
    """An image file and its shape (H, W) as it is seen: turned as the camera was held.

    Raises LeftOutError for one that is not there or cannot be opened.
    """
    try:
        state = path.stat()
        with Image.open(path) as opened:
            width, height = opened.size
            turned = opened.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    except FileNotFoundError as error:
        raise LeftOutError("images that are not there") from error
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        # Pillow's, of a file that is no image, has no words of the system's.
        more = (error.strerror if isinstance(error, OSError) else None) or ""
        raise LeftOutError("images that cannot be opened", more) from error
    same = state.st_size, state.st_mtime_ns, state.st_ino
    shape = (width, height) if turned else (height, width)
    return ListedImage(path, name, None, "", same), shape


def check_shape(shape: Sequence[int], image: Sequence[int], what: str) -> None:
    """Raises LeftOutError where what is said of an image is of another shape (H, W) than it."""
    if tuple(shape) != tuple(image):
        raise LeftOutError(
            f"{what} of another size than their image",
            f"{shape[1]} x {shape[0]} for {image[1]} x {image[0]}",
        )
