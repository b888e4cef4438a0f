"""Scores a patch file on its task, through every check that a patch file must pass."""

from adapters.device.inference import inference, parity_check
from adapters.errors import ModelPatchError, UnknownNameError
from adapters.preprocessing import Preprocessing
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits
from adapters.store.read import read_patch
from launch import backbones, scoring
from tasks import registry
from tasks.task import Task

EXAMPLES = 64  # images in a compiled batch


class TaskNeededError(ModelPatchError):
    """The task that a patch names is not known here."""


class LabelsDifferError(ModelPatchError):
    """A patch was trained for other classes than the task has."""


class HiddenLabelsError(ModelPatchError):
    """A split's labels are not published."""


def evaluate(
    path: str, split: str, task_name: str | None, weights: str | None, data_dir: str | None
) -> str:
    """A line of text: the score of the patch file at `path`, and whether it is the saved one.

    Raises:
      LabelsDifferError: the task's classes are not the patch's.
      HiddenLabelsError: the split has no published labels.
      PatchFileError: the file fails a check.
    """
    card = read_patch(path)
    task = _task_of(card, task_name)
    check_labels(path, card, task)
    if split == "test" and task.hidden_test_labels:
        raise HiddenLabelsError(
            f"the test labels of {task.name} are hidden; evaluate with --split=validation."
        )
    backbone = backbones.load(card.backbone, weights)
    preprocessing = Preprocessing.from_json(card.preprocessing)
    network = inference(backbone.network, EXAMPLES, preprocessing.size)
    contents = read_patch(
        path,
        shapes=backbone.shapes,
        features=backbone.network.table.features,
        fingerprint=backbone.fingerprint,
        check_parity=parity_check(network, backbone.weights),
    )
    patched = apply_edits(backbone.weights, contents.edits)
    answers = scoring.predict(network, patched, contents.head, task, split, preprocessing, data_dir)
    score, saved = scoring.score(task, answers), contents.scores.get(split)
    verdict = (
        "no saved score"
        if saved is None
        else "identical to the saved score"
        if score == saved
        else f"the saved score is {100 * saved:.4f} %"
    )
    return (
        f"{path}: {split} {contents.metric} {100 * score:.4f} % of {len(answers.labels)} "
        f"({verdict})"
    )


def _task_of(card: PatchContents, name: str | None) -> Task:
    try:
        return registry.resolve_one(name or card.task)
    except UnknownNameError as error:
        hint = f" If it is a task of your own: --task={card.task}.py, or --task=folder:PATH."
        raise TaskNeededError(f"{error}{hint if name is None else ''}") from error


def check_labels(path: str, card: PatchContents, task: Task) -> None:
    """Raises LabelsDifferError unless patch and task name the same classes in the same order."""
    if card.labels != task.labels:
        odd = sorted(set(card.labels) ^ set(task.labels))
        raise LabelsDifferError(
            f"{path} was trained for {len(card.labels)} classes, task {task.name} has "
            f"{len(task.labels)}; {f'not in both: {odd[:5]}' if odd else 'their order differs'}. "
            "Train the patch again, or give the task it was trained for with --task."
        )
