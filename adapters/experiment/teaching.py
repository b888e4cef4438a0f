"""A finished run as the teacher of another: its patches' probabilities are the student's targets.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, at
temperature 1. With a run of each task alone as its teacher, and a share that is annealed, it is
what Li, Liu and Bilen train one network of many domains with, but for their matched features
("Universal Representations: A Unified Look at Multiple Task and Domain Learning", arXiv
2204.02744).
"""

import hashlib
import json
import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError
from adapters.experiment import evaluation
from adapters.experiment.results import SHARED_BACKBONE
from adapters.experiment.run_files import RUN
from adapters.experiment.settings import Settings
from adapters.heads.registry import head_of
from adapters.inference.compiled import predictions
from adapters.preprocessing import normalise
from adapters.store.edits import apply_edits
from adapters.training.loop import Teacher
from tasks.task import Task


class TeacherError(ModelPatchError):
    """A folder whose patches cannot teach this run."""


def teacher(settings: Settings, tasks: Sequence[Task]) -> Teacher | None:
    """The teacher that `settings` name, or None.

    Raises:
      TeacherError: a task has no patch in the folder, or one for images of another size.
      LabelsDifferError: a patch was trained for other classes.
      PatchFileError: a patch fails a check.
    """
    if settings.teacher is None:
        return None
    for task in tasks:
        if task.made_head.soft_targets is None:
            raise TeacherError(
                f"task {task.name} has the head {task.made_head.kind}, which learns from its own "
                "examples alone: train it in a run of its own, without a teacher.",
                settings=["teacher"],
            )
    files = _files(settings, tasks)
    taught = []
    for task, path, size in zip(tasks, files, settings.sizes(tasks), strict=True):
        weights = _weights(path.parent)
        opened = evaluation.open_patch(str(path), "train", task, weights, settings.examples)
        if opened.preprocessing.size != size:
            raise TeacherError(
                f"{path} takes images of {opened.preprocessing.size} px, this run has the size "
                f"{size}: a teacher must see the images that its student sees.",
                settings=["size"],
            )
        edited = apply_edits(opened.backbone.weights, opened.contents.edits)
        taught.append((opened, jax.tree.map(jnp.asarray, edited)))

    def teach(task: int, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        opened, edited = taught[task]
        images = normalise(pixels, opened.preprocessing)
        head = head_of(opened.contents)
        said = predictions(
            *(opened.network, edited, opened.contents.head, {"image": images}, head.apply)
        )
        assert head.soft_targets is not None  # its kind is the task's
        return head.soft_targets(said).astype(np.float32)

    return teach


def digest(settings: Settings, tasks: Sequence[Task]) -> list[str]:
    """The sha256 of each task's teacher, so that a resumed run has the same ones."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(settings, tasks)]


def _files(settings: Settings, tasks: Sequence[Task]) -> list[pathlib.Path]:
    folder = pathlib.Path(str(settings.teacher))
    return [_file(folder, f"{task.name}.patch", task.name) for task in tasks]


def _file(folder: pathlib.Path, name: str, task: str) -> pathlib.Path:
    """That of a run of all tasks, or of one of the task alone, in a folder of its own."""
    for path in (folder / name, folder / task / name):
        if path.exists():
            return path
    raise TeacherError(
        f"the teacher {folder} has no {name}, nor has a folder {task} in it: train the same tasks "
        f"there first, or {task} alone in {folder / task}.",
        settings=["teacher"],
    )


def _weights(folder: pathlib.Path) -> str | None:
    """The file of the backbone that the run in `folder` left, or had."""
    shared, record = folder / SHARED_BACKBONE, folder / RUN
    if shared.exists():
        return str(shared)
    try:
        return json.loads(record.read_bytes())["weights"]
    except (OSError, ValueError, KeyError) as error:
        raise TeacherError(
            f"the teacher {folder} is no folder of a finished run: {record} cannot be read "
            f"({error}).",
            settings=["teacher"],
        ) from error
