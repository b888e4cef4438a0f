"""A folder that shows how each class was answered: confusions, calibration, the surest mistakes."""

import csv
import io
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from adapters import files
from adapters.errors import ModelPatchError
from adapters.experiment import assessment_pictures, mistakes_picture
from adapters.experiment.output import OutputFolderError
from adapters.heads.assessment import Assessment
from tasks import loading
from tasks.task import Task


class NoReportError(ModelPatchError):
    """A report is wanted of a head that does not give an image one class."""


def check(task: Task, directory: str | os.PathLike[str]) -> None:
    """Raises what `write` would raise, before anything is measured.

    Raises:
      NoReportError: the task's head does not give an image one class.
      OutputFolderError: there is something at `directory`.
    """
    if task.made_head.assess is None:
        raise NoReportError(
            f"a report is of heads that give an image one class; that of task {task.name} predicts "
            f"{task.made_head.kind}. Evaluate it without.",
            settings=["report"],
        )
    if os.path.lexists(directory):
        raise OutputFolderError(
            f"{os.fspath(directory)} exists already: choose another folder.", settings=["report"]
        )


def write(
    directory: str | os.PathLike[str],
    assessment: Assessment,
    task: Task,
    split: str,
    data_dir: str | None,
) -> None:
    """Writes a new folder, whole or not at all.

    `confusion.csv` and `confusion.png` say how often each class was taken for each, `classes.csv`
    what that makes in recall and precision, `calibration.png` how far probabilities can be trusted;
    `mistakes.png` shows the images that were answered wrongly with the highest probability.

    Raises NotWrittenError, and what `check` raises.
    """
    check(task, directory)
    title = f"{task.name}, {split}"
    with files.new_directory(pathlib.Path(directory)) as folder:
        counts = assessment.counts.tolist()
        rows = [[label, *row] for label, row in zip(task.labels, counts, strict=True)]
        _write(folder / "confusion.csv", [["class", *task.labels], *rows])
        _write(folder / "classes.csv", _classes(assessment))
        pictures = {
            "confusion.png": assessment_pictures.confusion(title, assessment),
            "calibration.png": assessment_pictures.calibration(title, assessment),
            "mistakes.png": mistakes_picture.picture(
                title, assessment, loading.open_split(task, split, data_dir)
            ),
        }
        for name, content in pictures.items():
            (folder / name).write_bytes(content)


def _classes(assessment: Assessment) -> Iterable[Sequence[Any]]:
    yield "class", "images", "answers", "recall", "precision"
    for one in assessment.classes:
        shares = ("" if share is None else share for share in (one.recall, one.precision))
        yield one.label, one.images, one.answered, *shares


def _write(path: pathlib.Path, rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.write_bytes(text.getvalue().encode())
