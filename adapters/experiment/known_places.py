"""Where things are in a split's images: what a task of boxes or masks knows of them."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.analysis.pieces import pieces
from adapters.errors import ModelPatchError
from adapters.heads.contract import MOST_OF_CLASS
from adapters.preprocessing import Preprocessing
from tasks import pipeline
from tasks.task import Task

BATCH = 64  # images that are opened at once


class NoPlacesError(ModelPatchError):
    """A task that knows no places, or an image in which it knows none."""


class Known(NamedTuple):
    """Images as a network sees them, and where things are in them.

    Attributes:
      names: of N examples.
      pixels: [N, S, S, 3] uint8.
      boxes: of each image [m, 4], one or more: left, top, right and bottom in pixels of it.
      inside: [N, S, S] bool, the pixels of things; None of a task that knows boxes alone.
      counts: [N, S, S] bool, False where nobody knows; None likewise.
    """

    names: tuple[str, ...]
    pixels: npt.NDArray[np.uint8]
    boxes: tuple[npt.NDArray[np.float64], ...]
    inside: npt.NDArray[np.bool_] | None
    counts: npt.NDArray[np.bool_] | None


class _Places(NamedTuple):
    boxes: npt.NDArray[np.float64]
    inside: npt.NDArray[np.bool_] | None = None
    counts: npt.NDArray[np.bool_] | None = None


def known_places(
    task: Task,
    split: str,
    preprocessing: Preprocessing,
    names: Mapping[str, Any],
    data_dir: str | None = None,
) -> Known:
    """What a task knows of the examples `names` of a split.

    A task of boxes says them. Of segments each thing has a box, and surfaces none. Of classes
    for each pixel the first is the ground, as in PASCAL VOC; what has another is a thing, each
    connected piece with a box.

    Args:
      task: of a head that finds objects, segments or the classes of pixels.
      split: of it.
      preprocessing: how the network sees the images, with which boxes and masks move.
      names: of the examples that are wanted; others are left out.
      data_dir: folder with prepared TFDS data sets.

    Raises NoPlacesError for another task, an example that it does not have, or one in which it
    knows of no thing.
    """
    places = _reader(task)
    found: list[tuple[str, npt.NDArray[np.uint8], _Places]] = []
    for batch in pipeline.evaluation_batches(task, split, preprocessing, BATCH, data_dir=data_dir):
        (targets,) = batch.targets.values()
        for row in np.flatnonzero(batch.mask):
            if batch.names[row] in names:
                own = places(targets[row], preprocessing.size)
                if not len(own.boxes):
                    raise NoPlacesError(
                        f"task {task.name} knows of nothing in the image {batch.names[row]!r} of "
                        f"the split {split}: leave it out, or say what is there."
                    )
                found.append((batch.names[row], batch.inputs["image"][row], own))
    missing = sorted({*names} - {name for name, _, _ in found})
    if missing:
        raise NoPlacesError(
            f"task {task.name} has no box or mask for {len(missing)} of {len(names)} images of the "
            f"split {split}, {missing[0]!r} among them: give a task of the same images, whose "
            "examples have the same names."
        )
    told, pixels, all_places = zip(*found, strict=True)
    masks = [(own.inside, own.counts) for own in all_places if own.inside is not None]
    inside, counts = (np.stack(each) for each in zip(*masks, strict=True)) if masks else (None,) * 2
    boxes = tuple(own.boxes for own in all_places)
    return Known(tuple(told), np.stack(pixels), boxes, inside, counts)


def _reader(task: Task) -> Callable[[npt.NDArray[Any], int], _Places]:
    """From a target of the task to places. Raises NoPlacesError."""
    head = task.made_head
    (how,) = head.targets.values()
    match how.per:
        case "object":
            return _of_objects
        case "segment":
            return functools.partial(_of_segments, surfaces=int(head.settings["stuff"]))
        case "pixel":
            return _of_classes
    raise NoPlacesError(
        f"task {task.name} predicts {head.kind}, and knows of no places: give a task of boxes or "
        "of masks, whose examples are the same images.",
        settings=["places"],
    )


def _of_objects(objects: npt.NDArray[Any], size: int) -> _Places:
    return _Places(objects[objects[:, 4] >= 0, :4].astype(np.float64) * size)


def _of_segments(segments: npt.NDArray[Any], size: int, surfaces: int) -> _Places:
    del size
    inside = segments >= surfaces * MOST_OF_CLASS
    boxes = [_tight_box(segments == number) for number in np.unique(segments[inside])]
    return _Places(np.reshape(np.array(boxes, np.float64), (-1, 4)), inside, segments >= 0)


def _of_classes(classes: npt.NDArray[Any], size: int) -> _Places:
    del size
    inside = classes > 0
    return _Places(pieces(inside[None]).boxes.astype(np.float64), inside, classes >= 0)


def _tight_box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
