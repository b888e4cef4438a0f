"""Masks as files: pictures whose pixels are numbers of classes, and the classes' names."""

import pathlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from tasks.left_out import LeftOutError
from tasks.listing import FolderError

LABELS = "labels.txt"
ENDING = ".png"
LARGEST = 2**15 - 1  # number of a class
_MODES = ("P", "L", "1", "I", "I;16")  # one number a pixel


class Classes(NamedTuple):
    """How many classes there are, and the number of pixels that do not count."""

    number: int
    ignored: int


def labels_in(folder: pathlib.Path) -> tuple[str, ...]:
    """The names of the classes, from number 0 on; raises FolderError unless they are two or more.

    Args:
      folder: of the masks.
    """
    path = folder / LABELS
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise FolderError(
            f"{folder} has no {LABELS}: write the classes' names into it, one a line; the first "
            "one is that of pixels of the number 0."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(f"{path} cannot be read as text: {error}.") from error
    while lines and not lines[-1]:
        lines.pop()
    twice = sorted({line for line in lines if lines.count(line) > 1})
    if len(lines) < 2 or not all(lines) or twice:
        wrong = f"has {', '.join(map(repr, twice))} twice" if twice else f"has {len(lines)} lines"
        raise FolderError(f"{path} {wrong}: it takes two different names or more, one a line.")
    return tuple(lines)


def read_mask(path: pathlib.Path, classes: Classes) -> npt.NDArray[np.int32]:
    """The number of each pixel's class, [H, W], -1 where it does not count.

    Raises LeftOutError.
    """
    try:
        with Image.open(path) as opened:
            if opened.mode not in _MODES:
                raise LeftOutError("masks in colours, not of one number a pixel")
            values = np.asarray(opened).astype(np.int32)
    except LeftOutError:
        raise
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise LeftOutError("masks that cannot be opened") from error
    counts = values != classes.ignored
    found = np.unique(values[counts])
    if odd := [int(value) for value in found if not 0 <= value < classes.number]:
        raise LeftOutError("masks with numbers of no class", f"numbers {', '.join(map(str, odd))}")
    if not len(found):
        raise LeftOutError("masks without a pixel that counts")
    return np.where(counts, values, -1).astype(np.int32)
