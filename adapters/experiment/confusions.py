"""Which class was taken for which, in a file of a run: `confusions.csv`.

A row says how often images of one class of a task's split got one answer; pairs that never came are
left out. A task whose images do not have one class each has no rows.
"""

import csv
import io
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from adapters import files
from adapters.errors import ModelPatchError
from adapters.heads.assessment import Assessment

FILE = "confusions.csv"
COLUMNS = ("task", "split", "class", "answer", "images")


class ConfusionsError(ModelPatchError):
    """A file of confusions cannot be read."""


class Confusions(NamedTuple):
    """What the images of a split were taken for: {(class, answer): images}."""

    split: str
    counts: Mapping[tuple[str, str], int]

    @property
    def images(self) -> int:
        """How many were answered."""
        return sum(self.counts.values())

    @property
    def accuracy(self) -> float:
        """The share that was answered rightly."""
        right = sum(count for (own, answer), count in self.counts.items() if own == answer)
        return right / self.images


def write(directory: pathlib.Path, found: Mapping[str, tuple[str, Assessment | None]]) -> None:
    """Writes the file of a run: for each task the split, and how it was answered."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for task, (split, assessment) in found.items():
        if assessment is None:
            continue
        labels, counts = assessment.labels, assessment.counts
        for own, answer in np.argwhere(counts).tolist():
            writer.writerow([task, split, labels[own], labels[answer], counts[own, answer]])
    files.write_bytes(directory / FILE, text.getvalue().encode("utf-8"))


def read(directory: pathlib.Path) -> dict[str, Confusions]:
    """By task, what `write` wrote; nothing where there is no file.

    Raises ConfusionsError.
    """
    path = directory / FILE
    if not path.exists():
        return {}
    found: dict[str, tuple[str, dict[tuple[str, str], int]]] = {}
    try:
        text = path.read_bytes().decode("utf-8")
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        if tuple(header) != COLUMNS:
            raise ValueError(f"its columns are {', '.join(header)}")
        for task, split, own, answer, images in rows:
            found.setdefault(task, (split, {}))[1][own, answer] = int(images)
    except ValueError as error:
        raise ConfusionsError(
            f"{path} holds no confusions ({error}); move it away, and it is left out."
        ) from error
    return {task: Confusions(split, counts) for task, (split, counts) in found.items()}
