"""What is refused, or warned of, before a run begins: what its tasks or its patch cannot have."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from adapters.experiment import backbones, evaluation
from adapters.experiment.settings import SettingError, Settings
from adapters.heads.together import TaskHeads
from adapters.patches.contract import Patch, no_look
from tasks import pipeline
from tasks.inventory import few
from tasks.task import Task


def check_tasks(
    tasks: Sequence[Task], settings: Settings, needs: Mapping[str, tuple[int, ...]]
) -> None:
    """Raises InputsMissingError or SettingError for a task that the run cannot train.

    `needs` are the inputs that the patch reads beside the image.
    """
    for task in tasks:
        evaluation.check_inputs(settings.patch, needs, task)
        if settings.temperature_scaling and task.made_head.scaled is None:
            raise SettingError(
                "temperature_scaling",
                f"is of one answer of several; task {task.name} predicts "
                f"{task.made_head.kind}. Train it in a run of its own, without.",
            )


def warn_of_lost_classes(tasks: Sequence[Task], settings: Settings) -> None:
    """Says of which classes a share of the training images leaves none."""
    for task in tasks if settings.share < 1 else ():
        for target, how in task.made_head.targets.items():
            if how.per == "image":
                labels = pipeline.all_targets(task, "train", settings.data_dir)[target]
                counts = np.bincount(labels, minlength=len(task.labels))
                lost = [task.labels[number] for number in np.flatnonzero(counts == 0)]
                if lost:
                    logging.warning(
                        "%s: of the share %g of its training images none is of %s",
                        *(task.name, settings.share, few(lost)),
                    )


def check_neck(backbone: backbones.Loaded, heads: TaskHeads) -> None:
    """A neck that is new has to be read by a head, or it is trained by nothing."""
    maps = {own.name for own in backbone.network.table.neck}
    if not backbone.untrained:
        return
    if heads.taps.isdisjoint(maps):
        raise SettingError(
            "backbone",
            f"is {backbone.name}, whose neck no head reads: they read "
            f"{', '.join(sorted(heads.taps))}. Give tasks with a head that reads "
            f"{' or '.join(sorted(maps))}, or the backbone without it.",
        )
    logging.info("the neck is new: it is trained beside the heads, and all tasks share it")


def check_outside(directory: pathlib.Path, settings: Settings) -> None:
    """Overwriting a run must not delete what it is made of."""
    for name in ("weights", "teacher", "from_patch"):
        path = getattr(settings, name)
        inside = pathlib.Path(path).resolve() if path else None
        if inside and (inside == directory.resolve() or directory.resolve() in inside.parents):
            raise SettingError(
                name,
                f"is {path}, which lies in {directory} and which overwriting would delete: choose "
                "another directory.",
                "directory",
                "overwrite",
            )


def check_learned(
    patch: Patch, weights: Any, backbone: backbones.Loaded, settings: Settings
) -> None:
    """A preview network that is new has to be trained."""
    added = sum(
        leaf.size
        for path, leaves in weights.items()
        for name, leaf in leaves.items()
        if name not in backbone.weights.get(path, {})
    )
    if added:
        logging.info("the patch adds %s values to the weights that all tasks share", f"{added:,}")
    if added and patch.prepare is not no_look and not settings.train_shared:
        raise SettingError(
            "patch",
            f"is {settings.patch}, which looks at images by {added:,} shared values that nothing "
            "would train: give train_shared, or the weights of a run that had it.",
            "train_shared",
            "weights",
        )
