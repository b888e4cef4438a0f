"""Scores a patch file on its task, through every check that a patch file must pass."""

import dataclasses
from collections.abc import Mapping

from adapters.errors import ModelPatchError, UnknownNameError
from adapters.experiment import backbones, scoring
from adapters.heads.registry import head_of
from adapters.inference.compiled import Inference, inference, parity_check
from adapters.inference.first_look import first_look
from adapters.patches.contract import Prepare
from adapters.preprocessing import Preprocessing
from adapters.runtime.preprocessing_check import check_preprocessing
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits
from adapters.store.errors import naming
from adapters.store.read import decode_patch, read_bytes
from adapters.training.report import in_words
from tasks import registry
from tasks.task import Task

EXAMPLES = 64  # images in a compiled batch, if they are not too large
_LARGE = 224  # a side in pixels; a batch holds no more pixels than this many images of it


class TaskNeededError(ModelPatchError):
    """The task that a patch names is not known here."""


class LabelsDifferError(ModelPatchError):
    """A patch was trained for other classes than the task has."""


class HiddenLabelsError(ModelPatchError):
    """A split's labels are not published."""


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
    """A patch file that has passed every check, and what it needs to answer.

    `prepare` is what its patch does when it first looks at an image.
    """

    contents: PatchContents
    prepare: Prepare
    task: Task
    backbone: backbones.Loaded
    preprocessing: Preprocessing
    network: Inference


def evaluate(
    path: str, split: str, task_name: str | None, weights: str | None, data_dir: str | None
) -> str:
    """A line of text: the score of the patch file at `path`, and whether it is the saved one.

    Raises:
      LabelsDifferError: the task's classes are not the patch's.
      HiddenLabelsError: the split has no published labels.
      PatchFileError: the file fails a check.
    """
    opened = open_patch(path, split, task_name, weights)
    contents, task, network = opened.contents, opened.task, opened.network
    patched = apply_edits(opened.backbone.weights, contents.edits)
    answers = scoring.predict(
        *(network, patched, contents.head, task, split, opened.preprocessing, data_dir),
        inputs=contents.inputs,
    )
    head = head_of(contents)
    figures = scoring.figures(head, len(contents.labels), answers)
    score, saved = figures[head.metric.score].value, contents.scores.get(split)
    verdict = (
        "no saved score"
        if saved is None
        else "identical to the saved score"
        if score == saved
        else f"the saved score is {100 * saved:.4f} %"
    )
    others = "".join(
        f", {name} {in_words(figure)}"
        for name, figure in figures.items()
        if name != head.metric.score
    )
    return (
        f"{path}: {split} {contents.metric} {100 * score:.4f} % of {len(answers.names)} "
        f"({verdict}){others}"
    )


def open_patch(
    path: str,
    split: str,
    task: Task | str | None,
    weights: str | None,
    examples: int | None = None,
) -> Opened:
    """Reads a patch file through every check, to answer `examples` images of a split at once.

    `task` is by default the one that the file names, `examples` what `examples_of` gives. Raises
    what `evaluate` raises.
    """
    with naming(path):
        data = read_bytes(path)
        card = decode_patch(data)
    task = task if isinstance(task, Task) else _task_of(card, task)
    check_labels(path, card, task)
    check_inputs(card.patch, card.inputs, task)
    if split == "test" and task.hidden_test_labels:
        raise HiddenLabelsError(
            f"the test labels of {task.name} are hidden; evaluate with --split=validation."
        )
    backbone = backbones.load(card.backbone, weights)
    with naming(path):
        contents = decode_patch(
            data,
            shapes=backbone.shapes,
            features=backbone.network.table.features,
            fingerprint=backbone.fingerprint,
        )
        checkpoint = backbone.checkpoint
        preprocessing = check_preprocessing(contents, checkpoint.mean, checkpoint.std)
        prepare = first_look(contents)
        count = examples or examples_of(preprocessing.size)
        network = inference(backbone.network, count, preprocessing.size, prepare)
        parity_check(network, backbone.weights)(contents)
    return Opened(contents, prepare, task, backbone, preprocessing, network)


def examples_of(size: int) -> int:
    """How many images of `size` pixels a side are answered at once.

    A file chooses the size, and must not choose how much memory that takes.

    >>> [examples_of(size) for size in (64, 224, 225, 1024)]
    [64, 64, 32, 2]
    """
    count = EXAMPLES
    while count > 1 and count * size**2 > EXAMPLES * _LARGE**2:
        count //= 2
    return count


def _task_of(card: PatchContents, name: str | None) -> Task:
    try:
        return registry.resolve_one(name or card.task)
    except UnknownNameError as error:
        hint = f" If it is a task of your own: --task={card.task}.py, or --task=folder:PATH."
        raise TaskNeededError(f"{error}{hint if name is None else ''}") from error


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


def check_labels(path: str, card: PatchContents, task: Task) -> None:
    """Raises LabelsDifferError unless patch and task name the same classes in the same order."""
    if card.labels != task.labels:
        odd = sorted(set(card.labels) ^ set(task.labels))
        raise LabelsDifferError(
            f"{path} was trained for {len(card.labels)} classes, task {task.name} has "
            f"{len(task.labels)}; {f'not in both: {odd[:5]}' if odd else 'their order differs'}. "
            "Train the patch again, or give the task it was trained for with --task."
        )
