"""Scores a patch file on its task, through every check that a patch file must pass."""

import dataclasses
import os
from collections.abc import Mapping
from typing import NamedTuple

from adapters.errors import ModelPatchError, UnknownNameError
from adapters.experiment import assessment_report, assessments, backbones, origins, scoring
from adapters.experiment.opening import OpenedPatch, opened
from adapters.heads.assessment import Assessment
from adapters.heads.contract import Figure
from adapters.heads.registry import head_of
from adapters.patches.contract import Patch
from adapters.store.contents import PatchCard
from adapters.store.edits import apply_edits
from adapters.store.errors import naming
from adapters.store.read import decode_patch, read_bytes
from adapters.training.report import in_words
from tasks import loading, registry
from tasks.task import Task


class TaskNeededError(ModelPatchError):
    """The task that a patch names is not known here; `task` is its name."""

    def __init__(self, said: str, task: str):
        super().__init__(said, settings=["task"])
        self.task = task


class LabelsDifferError(ModelPatchError):
    """A patch was trained for other classes than the task has."""


class HiddenLabelsError(ModelPatchError):
    """A split's labels are not published."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Opened(OpenedPatch):
    """A patch file that has passed every check, with its task."""

    task: Task


class Evaluation(NamedTuple):
    """How well a patch file does on a split.

    Attributes:
      path: of the file.
      split: which.
      metric: what the score is.
      score: of the file, now.
      saved: the score that the file states, if it states one of this split.
      images: how many were answered.
      others: further figures of the task's head, by name.
      changed: splits whose images are others than those that the file was trained and scored on,
        as far as it says which those were.
      assessment: how each class was answered; None where an image does not have one class.
    """

    path: str
    split: str
    metric: str
    score: float
    saved: float | None
    images: int
    others: Mapping[str, Figure]
    changed: tuple[str, ...]
    assessment: Assessment | None

    @property
    def by_class(self) -> str:
        """A table of its classes and how sure it is of them; empty without an assessment.

        A line warns of those that it never answers.
        """
        if self.assessment is None:
            return ""
        warned = assessments.warnings(self.path, self.split, self.assessment)
        return "\n".join([assessments.by_class(self.assessment), *warned])

    def __str__(self) -> str:
        verdict = (
            "no saved score"
            if self.saved is None
            else "identical to the saved score"
            if self.score == self.saved
            else f"the saved score is {100 * self.saved:.4f} %"
        )
        if self.changed:
            splits = ", ".join(self.changed)
            verdict += f", but the images of {splits} are not those it was trained and scored with"
        others = "".join(f", {name} {in_words(own)}" for name, own in self.others.items())
        return (
            f"{self.path}: {self.split} {self.metric} {100 * self.score:.4f} % of {self.images} "
            f"({verdict}){others}"
        )


def evaluate(
    path: str | os.PathLike[str],
    split: str = "test",
    task: Task | str | None = None,
    weights: str | os.PathLike[str] | None = None,
    data_dir: str | None = None,
    *,
    patch: Patch | None = None,
    report: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """The score of the patch file at `path`, beside the one that it states.

    Args:
      path: of the file.
      split: of the task.
      task: by default the one that the file names.
      weights: the backbone's local checkpoint, where it brings none.
      data_dir: folder with prepared TFDS data sets.
      patch: that the file was trained with, where no spec in it says so.
      report: a folder that does not exist yet, for the pictures and tables of `assessment_report`.

    Raises:
      TaskNeededError: nobody knows the task that the file names.
      LabelsDifferError: the task's classes are not the patch's.
      HiddenLabelsError: the split has no published labels.
      NoReportError: a report is wanted of a head that does not give an image one class.
      OutputFolderError: the report's folder exists.
      PatchFileError: the file fails a check.
    """
    opened = open_patch(path, split, task, weights, patch=patch, data_dir=data_dir)
    return score(path, opened, split, data_dir, report)


def score(
    path: str | os.PathLike[str],
    patch: Opened,
    split: str,
    data_dir: str | None,
    report: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """`evaluate`, of a file that is open already."""
    contents = patch.contents
    if report is not None:
        assessment_report.check(patch.task, report)
    patched = apply_edits(patch.backbone.weights, contents.edits)
    head = head_of(contents)
    answers = scoring.predict(
        patch.network,
        patched,
        contents.head,
        head,
        patch.task,
        split,
        patch.preprocessing,
        data_dir,
        contents.inputs,
    )
    figures = scoring.figures(head, len(contents.labels), answers)
    assessment = assessments.assessed(head, contents.labels, answers)
    if report is not None and assessment is not None:
        assessment_report.write(report, assessment, patch.task, split, data_dir)
    return Evaluation(
        os.fspath(path),
        split,
        contents.metric,
        figures[head.metric.score].value,
        contents.scores.get(split),
        len(answers.names),
        {name: figure for name, figure in figures.items() if name != head.metric.score},
        tuple(
            split
            for split, digest in contents.data.items()
            if _digest(patch.task, split, data_dir) != digest
        ),
        assessment,
    )


def _digest(task: Task, split: str, data_dir: str | None) -> str | None:
    """What tells a split's images from others; None where they are not there."""
    try:
        return loading.contents(task, split, data_dir).digest
    except ModelPatchError:
        return None


def open_patch(
    path: str | os.PathLike[str],
    split: str,
    task: Task | str | None,
    weights: str | os.PathLike[str] | None,
    examples: int | None = None,
    *,
    patch: Patch | None = None,
    data_dir: str | None = None,
) -> Opened:
    """Reads a patch file through every check, to answer `examples` images of a split at once.

    `task` is by default the one that the file names, `examples` what `examples_of` gives. Raises
    what `evaluate` raises.
    """
    with naming(path):
        data = read_bytes(path)
        card = decode_patch(data)
    wanted = task_for(path, card, split, task, data_dir)
    backbone = backbones.load(card.backbone, weights)
    ready = opened(path, data, backbone, examples, patch)
    fields = {field.name: getattr(ready, field.name) for field in dataclasses.fields(ready)}
    return Opened(**fields, task=wanted)


def task_for(
    path: str | os.PathLike[str],
    card: PatchCard,
    split: str,
    task: Task | str | None,
    data_dir: str | None = None,
) -> Task:
    """The task to score a patch on: the one that is given, or that its card names.

    What the card names is a task that is registered, or one of users' own data that the run wrote
    down beside the file. `data_dir` is where TFDS data was prepared. Raises TaskNeededError,
    LabelsDifferError, InputsMissingError or HiddenLabelsError.
    """
    found = task if isinstance(task, Task) else _known(path, card, task, data_dir)
    check_labels(path, card, found)
    check_inputs(card.patch, card.inputs, found)
    if split == "test" and found.hidden_test_labels:
        raise HiddenLabelsError(
            f"the test labels of {found.name} are hidden; evaluate on the split validation.",
            settings=["split"],
        )
    return found


def _known(
    path: str | os.PathLike[str], card: PatchCard, name: str | None, data_dir: str | None
) -> Task:
    if name is not None:
        return registry.resolve_one(name, data_dir)
    try:
        return registry.registered(card.task)
    except UnknownNameError as error:
        if own := origins.found(path, card.task, data_dir):
            return own
        raise TaskNeededError(
            f"{error} If it is a task of your own, give it: the file that registers it, or "
            "folder:PATH.",
            card.task,
        ) from error


class InputsMissingError(ModelPatchError):
    """A patch reads what a task's examples do not have."""


def check_inputs(patch: str, needs: Mapping[str, tuple[int, ...]], task: Task) -> None:
    """Raises InputsMissingError unless the task's examples have what the patch reads."""
    for name, shape in needs.items():
        if task.inputs.get(name) != shape:
            has = ", ".join(f"{own} {list(form)}" for own, form in task.inputs.items()) or "none"
            raise InputsMissingError(
                f"the patch {patch} reads {name} {list(shape)} beside the image; the inputs of "
                f"task {task.name}: {has}. Choose another patch, or a task whose examples have it."
            )


def check_labels(path: str | os.PathLike[str], card: PatchCard, task: Task) -> None:
    """Raises LabelsDifferError unless patch and task predict the same labels in the same way."""
    if card.head_kind != task.made_head.kind:
        raise LabelsDifferError(
            f"{os.fspath(path)} was trained with the head {card.head_kind}, task {task.name} has "
            f"{task.made_head.kind}. Train the patch again, or give the task it was trained for.",
            settings=["task"],
        )
    if card.labels != task.labels:
        odd = sorted(set(card.labels) ^ set(task.labels))
        raise LabelsDifferError(
            f"{os.fspath(path)} was trained for {len(card.labels)} labels, task {task.name} has "
            f"{len(task.labels)}; {f'not in both: {odd[:5]}' if odd else 'their order differs'}. "
            "Train the patch again, or give the task it was trained for.",
            settings=["task"],
        )
