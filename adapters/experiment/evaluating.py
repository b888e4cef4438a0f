"""A patch file's score, in one call."""

import os

from adapters.experiment import evaluation
from adapters.experiment.chosen_tasks import Wanted, chosen_one
from adapters.experiment.evaluation import Evaluation
from adapters.patches.contract import Patch


def evaluate(
    path: str | os.PathLike[str],
    task: Wanted | None = None,
    *,
    split: str = "test",
    weights: str | os.PathLike[str] | None = None,
    data_dir: str | None = None,
    patch: Patch | None = None,
    report: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """The score of the patch file at `path`, beside the one that it states.

    Args:
      path: of the file.
      task: one, as `adapters.fit` takes it; by default the one that the file names.
      split: of the task.
      weights: the backbone's local checkpoint, where it brings none.
      data_dir: folder with prepared TFDS data sets.
      patch: that the file was trained with, where no spec in it says so.
      report: a folder that does not exist yet, for pictures and tables of how each class was
        answered: confusions, calibration, and the surest mistakes.

    Raises:
      TaskNeededError: nobody knows the task that the file names.
      NoTaskError, SeveralTasksError: `task` is no task, or several.
      LabelsDifferError: the task's classes are not the patch's.
      HiddenLabelsError: the split has no published labels.
      NoReportError: a report is wanted of a head that does not give an image one class.
      OutputFolderError: the report's folder exists.
      PatchFileError: the file fails a check.
    """
    found = None if task is None else chosen_one(task, data_dir)
    return evaluation.evaluate(path, split, found, weights, data_dir, patch=patch, report=report)
