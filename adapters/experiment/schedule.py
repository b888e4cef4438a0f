"""How a run schedules its tasks: what its settings say, and what that needs to mean anything."""

import collections
import os
import pathlib
import statistics
from collections.abc import Mapping, Sequence

from absl import logging

from adapters.errors import ModelPatchError
from adapters.experiment.run_files import RESULTS
from adapters.experiment.settings import SettingError, Settings
from adapters.heads.together import TaskHeads
from adapters.patches.contract import Weights
from adapters.scheduling import registry
from adapters.scheduling.contract import Sampler, Scheduling, Tasks
from adapters.spec import parse
from adapters.training import tidy
from tasks.task import Task

USERS = ("achievement", "balanced")
"""The rules that references are for."""


class ReferenceMissingError(ModelPatchError):
    """No usable accuracy of a run of its own is known of a task."""


def facts(
    settings: Settings, tasks: Sequence[Task], sizes: Sequence[int], heads: TaskHeads
) -> Tasks:
    """What rules know of `tasks`, of `sizes` training images.

    A step trains heads of one kind, on images of one size. Raises ReferenceMissingError, or
    SettingError for references that no rule reads.
    """
    recipe, known = settings.recipe, None
    if settings.references is not None:
        chosen = {parse(spec)[0].name for spec in (settings.scheduler, settings.sampling)}
        if chosen.isdisjoint(USERS):
            raise SettingError(
                "references",
                f"is for the scheduler, or the sampling, {' or '.join(USERS)}: choose one, or "
                "leave the references out.",
                "scheduler",
                "sampling",
            )
        read = references(settings.references)
        known = tuple(_reference(read, task.name, settings.references) for task in tasks)
    return Tasks(
        tuple(sizes),
        heads.outputs,
        tuple(
            f"{head.kind}@{size}"
            for head, size in zip(heads.heads, settings.sizes(tasks), strict=True)
        ),
        known,
        recipe.steps * settings.groups * settings.examples,
    )


def sampler(settings: Settings, tasks: Tasks) -> Sampler:
    """How a run draws its tasks. Raises as `scheduling.registry.sampler`."""
    return registry.sampler(settings.sampling, tasks, settings.recipe.steps)


def scheduling(settings: Settings, tasks: Tasks, shared: Weights) -> Scheduling:
    """How a run weighs its tasks, and combines the gradients of the leaves `shared` that it trains.

    Raises SettingError where the rule would do nothing, and as `scheduling.registry.scheduling`.
    """
    found = registry.scheduling(settings.scheduler, settings.gradients, tasks)
    weighs, combines = found.weighting.adaptive, found.combine is not None
    if (weighs or combines) and not any(shared.values()):
        setting = "scheduler" if weighs else "gradients"
        instead = "draw the tasks by a rule instead (sampling), or " if weighs else ""
        raise SettingError(
            setting,
            f"is {getattr(settings, setting)}, which acts on weights that tasks share, and this "
            "run trains none: every task owns what it learns, and Adam divides a weight out again. "
            f"Leave it out, {instead}train the shared weights too (train_shared).",
            "sampling",
            "train_shared",
        )
    if combines and settings.groups < 2:
        raise SettingError(
            "groups",
            f"is {settings.groups}: {settings.gradients} compares the gradients of several tasks "
            "in one step. Take as many groups as tasks.",
            "gradients",
        )
    alike = max(collections.Counter(tasks.kinds).values())
    if combines and alike < 2:
        raise SettingError(
            "gradients",
            f"is {settings.gradients}, which compares the gradients of several tasks in one step, "
            "and a step trains tasks of one kind of head and one size of images: no two of these "
            "are alike. Leave it out.",
        )
    if (weighs or combines) and min(settings.groups, alike) < len(tasks.sizes):
        logging.warning(
            "A step trains at most %d of %d tasks: %s compares only those.%s",
            *(min(settings.groups, alike), len(tasks.sizes)),
            settings.scheduler if weighs else settings.gradients,
            " Take as many groups as tasks where memory allows." if settings.groups < alike else "",
        )
    return found


def references(path: str | os.PathLike[str]) -> Mapping[str, float]:
    """Each task's validation accuracy, the mean over what a results file has of it.

    `path` is a file of results, such as runs of single tasks write, or a run's folder.

    Raises ReferenceMissingError where it cannot be read, ColumnsError for another kind of table.
    """
    file = pathlib.Path(path)
    file = file / RESULTS if file.is_dir() else file
    if not file.is_file():
        raise ReferenceMissingError(
            f"there is no file {file}: give the results of runs of single tasks.",
            settings=["references"],
        )
    found: dict[str, list[float]] = {}
    for row in tidy.read(file):
        if row.split == "validation" and row.metric == "accuracy":
            found.setdefault(row.task, []).append(row.value)
    return {task: statistics.fmean(values) for task, values in found.items()}


def _reference(known: Mapping[str, float], name: str, path: str) -> float:
    if not 0 < known.get(name, 0) <= 1:
        raise ReferenceMissingError(
            f"{path} has no validation accuracy above 0 of the task {name}; it has those of "
            f"{', '.join(sorted(known)) or 'none'}. Train {name} alone, and give its results too.",
            settings=["references"],
        )
    return known[name]
