"""Answers for batches that an engine hands out: what Ray Data's `map_batches` takes as it is."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError
from adapters.experiment.pictures import Picture, PictureError
from adapters.experiment.predicting import load_all
from adapters.heads.contract import NoAnswerError
from adapters.heads.registry import head_of

FAULT = "fault"

Batch = Mapping[str, npt.NDArray[Any]]


class BatchColumnError(ModelPatchError):
    """A batch without the column of images, or with one that answers would overwrite."""


class BatchAnswers:
    """A function from batches {column: array} to the same with the answers of some patches.

    Made once a worker, which loads the patches through every check; sent to another process, it
    loads them there. Answers are the columns `TASK`, the most probable class of each image, with
    `TASK.probability`, or of other heads all that they say, as JSON; and `fault`: why an image has
    no answer, "" where it has.
    """

    def __init__(
        self,
        patches: Sequence[str | os.PathLike[str]],
        column: str = "bytes",
        weights: str | os.PathLike[str] | None = None,
        keep_images: bool = False,
    ):
        """Loads the patches.

        Args:
          patches: files, one a task.
          column: of the images: bytes of image files, their paths, or pixels uint8 [N, H, W, 3].
          weights: the backbone's local checkpoint, where it brings none.
          keep_images: whether the column of images is passed on.

        Raises TwoPatchesError, and what `adapters.load` raises.
        """
        self._made_of = patches, column, weights, keep_images
        self._column, self._keep_images = column, keep_images
        self._predictors = load_all(patches, weights)

    def __call__(self, batch: Batch) -> dict[str, npt.NDArray[Any]]:
        """The batch with the answers' columns, in the same order. Raises BatchColumnError."""
        if self._column not in batch:
            raise BatchColumnError(
                f"the batch has the columns {', '.join(batch)}; the images should be in "
                f"{self._column}: say in which they are."
            )
        rows = self.rows(list(batch[self._column]))
        kept = {
            name: own for name, own in batch.items() if self._keep_images or name != self._column
        }
        names = list(dict.fromkeys(name for row in rows for name in row))
        if taken := sorted(set(kept) & set(names)):
            raise BatchColumnError(
                f"the batch has a column {taken[0]} already, as the answers would: rename it."
            )
        columns = {name: [row.get(name) for row in rows] for name in names}
        return {**kept, **{name: _column(values) for name, values in columns.items()}}

    def rows(self, images: Sequence[Picture]) -> list[dict[str, Any]]:
        """What the columns of each image hold."""
        try:
            found = self._together(images)
        except (PictureError, NoAnswerError):
            found = [self._alone(image) for image in images]
        return [{**dict.fromkeys(self._names), **row} for row in found]

    @property
    def _names(self) -> list[str]:
        """Of the columns that every answer has."""
        return [*self._predictors, FAULT]

    def _alone(self, image: Picture) -> dict[str, Any]:
        try:
            return self._together([image])[0]
        except (PictureError, NoAnswerError) as error:
            return {FAULT: str(error)}

    def _together(self, images: Sequence[Picture]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{FAULT: ""} for _ in images]
        for task, predictor in self._predictors.items():
            one_class = all(own.per == "image" for own in head_of(predictor.card).targets.values())
            for row, listed in zip(found, predictor.listed(images), strict=True):
                if not one_class:
                    row[task] = json.dumps(listed, ensure_ascii=False)
                    continue
                best = {f"{task}.{name}": value for name, value in listed[0].items()}
                row |= {task: best.pop(f"{task}.label"), **best}
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return BatchAnswers, self._made_of


def _column(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Numbers as numbers, NaN where there is none; texts as texts, "" where there is none."""
    if any(isinstance(value, str) for value in values):
        return np.asarray([value or "" for value in values])
    return np.asarray([np.nan if value is None else value for value in values], np.float64)
