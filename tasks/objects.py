"""Objects of an image: rows of left, top, right, bottom in parts of its sides, and a class."""

from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.heads.contract import MOST_OBJECTS
from adapters.preprocessing import Box, Preprocessing, prepare_boxes

Array = npt.NDArray[np.float32]

WIDTH = 5
NOTHING = -1.0
LEAST_INSIDE = 0.5  # of an object's area that a view has to show


def fault(objects: Any, classes: int) -> str | None:
    """What is wrong with the objects of an image, in words that follow "has"."""
    if not (isinstance(objects, np.ndarray) and objects.ndim == 2 and objects.shape[1] == WIDTH):
        return "no objects [n, 5]"
    if objects.dtype != np.float32 or not np.isfinite(objects).all():
        return "objects that are no finite numbers of float32"
    if len(objects) > MOST_OBJECTS:
        return f"{len(objects)} objects, more than {MOST_OBJECTS}"
    labels = objects[:, 4]
    if len(objects) and not (
        (labels == labels.round()).all() and labels.min() >= 0 and labels.max() < classes
    ):
        return f"an object whose class is none of 0 to {classes - 1}"
    if (objects[:, :4] < 0).any() or (objects[:, :4] > 1).any():
        return "a box outside the image"
    if (objects[:, 2:4] <= objects[:, :2]).any():
        return "a box of no area"
    return None


def filled(objects: npt.NDArray[Any]) -> Array:
    """[MOST_OBJECTS, 5], with rows of class -1 after the objects."""
    found = np.full((MOST_OBJECTS, WIDTH), NOTHING, np.float32)
    found[: len(objects)] = objects
    return found


def seen(
    objects: npt.NDArray[Any],
    width: int,
    height: int,
    preprocessing: Preprocessing,
    box: Box | None = None,
    mirrored: bool = False,
) -> Array:
    """The objects [MOST_OBJECTS, 5] as the network sees them, in parts of its own image's sides.

    An object of which less than half can be seen is none; of others, what can be seen is the box.

    Args:
      objects: [n, 5], of an image of `width` x `height` pixels.
      preprocessing: of the network.
      box: the part of the image that is looked at, in its pixels.
      mirrored: whether left and right are exchanged.
    """
    inside, share = prepare_boxes(objects[:, :4], width, height, preprocessing, box)
    if mirrored:
        inside = np.stack([1 - inside[:, 2], inside[:, 1], 1 - inside[:, 0], inside[:, 3]], axis=1)
    return filled(np.concatenate([inside, objects[:, 4:]], axis=1)[share >= LEAST_INSIDE])
