"""A finished run as the teacher of another: its patches' probabilities are the student's targets.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, at
temperature 1.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from adapters.device.early_exit import probabilities
from adapters.errors import ModelPatchError
from adapters.heads.classification import HeadLayout
from adapters.preprocessing import normalise
from adapters.store.edits import apply_edits
from adapters.training.loop import Teacher
from launch import evaluation
from launch.results import SHARED_BACKBONE
from launch.settings import Settings
from tasks.task import Task


class TeacherError(ModelPatchError):
    """A folder whose patches cannot teach this run."""


def teacher(settings: Settings, tasks: Sequence[Task], layout: HeadLayout) -> Teacher | None:
    """The teacher that `settings` name, or None.

    Raises:
      TeacherError: a task has no patch in the folder, or one for images of another size.
      LabelsDifferError: a patch was trained for other classes.
      PatchFileError: a patch fails a check.
    """
    if settings.teacher is None:
        return None
    folder = pathlib.Path(settings.teacher)
    shared = folder / SHARED_BACKBONE
    weights = str(shared) if shared.exists() else settings.weights
    taught = []
    for task in tasks:
        path = folder / f"{task.name}.patch"
        if not path.exists():
            raise TeacherError(
                f"--teacher={folder} has no {path.name}: train the same tasks there first, with "
                f"launch/train --out={folder}."
            )
        opened = evaluation.open_patch(str(path), "train", task, weights, settings.examples)
        if opened.preprocessing.size != settings.size:
            raise TeacherError(
                f"{path} takes images of {opened.preprocessing.size} px, this run has --size="
                f"{settings.size}: a teacher must see the images that its student sees."
            )
        edited = apply_edits(opened.backbone.weights, opened.contents.edits)
        taught.append((opened, jax.tree.map(jnp.asarray, edited)))

    def teach(task: int, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        opened, edited = taught[task]
        images = normalise(pixels, opened.preprocessing)
        features: Any = np.asarray(opened.network.features(edited, images))
        head = opened.contents.head
        wide = np.zeros((len(pixels), layout.capacity), np.float32)
        wide[:, layout.rows(task)] = probabilities(features, head["w"], head["b"])
        return wide

    return teach
