"""From what a user calls tasks to tasks."""

import dataclasses
import os
from collections.abc import Mapping, Sequence, Set
from typing import Any, TypeGuard

from adapters.errors import DuplicateNameError, ModelPatchError
from adapters.training import host_state
from tasks import folder, loading, registry, spelling, table
from tasks.digest import Contents
from tasks.task import Task

Wanted = str | os.PathLike[str] | Task | tuple[Any, Sequence[Any]]
"""A task or suite by name, the path of a folder of images or of a task's file, a task, or arrays:
(images [N, H, W, 3] uint8, labels [N])."""


class NoTaskError(ModelPatchError):
    """Something given as a task is none, or no task was given."""

    def __init__(self, said: str):
        super().__init__(
            f"{said}: give a task's name, folder:PATH, a `Task`, arrays (images, labels), or a "
            "list of these.",
            settings=["tasks"],
        )


def chosen(tasks: Wanted | Sequence[Wanted], data_dir: str | None = None) -> tuple[Task, ...]:
    """The tasks meant by one wanted thing or a list of them, in order.

    Arrays become the task `arrays`, further ones `arrays_2` and so on: name them yourself with
    `Task.from_arrays`. `data_dir` is where TFDS data was prepared, by default TFDS's own folder.

    Raises:
      NoTaskError: something that is no task, or none at all.
      UnknownNameError, TaskFileError, FolderError, and others: see `tasks.registry.resolve`.
      ArraysError: arrays that are no images and labels.
      DuplicateNameError: two different tasks share a name.
    """
    found: dict[str, Task] = {}
    unnamed = 0
    for one in _listed(tasks):
        if isinstance(one, tuple):
            unnamed += 1
            name = "arrays" if unnamed == 1 else f"arrays_{unnamed}"
            members: Sequence[Task] = [Task.from_arrays(*one, name=name)]
        else:
            members = [one] if isinstance(one, Task) else registry.resolve([_name(one)], data_dir)
        for task in members:
            if found.setdefault(task.name, task) != task:
                raise DuplicateNameError("task", task.name)
    return tuple(found.values())


def chosen_one(task: Wanted, data_dir: str | None = None) -> Task:
    """The one task meant; raises SeveralTasksError for more, and what `chosen` raises."""
    if isinstance(task, str | os.PathLike):
        return registry.resolve_one(_name(task), data_dir)
    found = chosen(task, data_dir)
    if len(found) > 1:
        raise registry.SeveralTasksError(f"{len(found)} tasks are given: give one of them.")
    return found[0]


def names(tasks: Wanted | Sequence[Wanted]) -> list[str]:
    """The tasks as they were called; those without a name by the one that `chosen` gives them."""
    return [
        name
        for one in _listed(tasks)
        for name in ([one] if isinstance(one, str) else [task.name for task in chosen([one])])
    ]


Held = Mapping[str, Contents]
"""{split: what it holds}, of a task."""


def held(tasks: Sequence[Task], data_dir: str | None) -> list[Held]:
    """What each task's splits hold now. Raises what `tasks.loading.open_split` raises."""
    return [
        {split: loading.contents(task, split, data_dir) for split in task.splits} for task in tasks
    ]


def digests(splits: Held) -> dict[str, str]:
    """Those of a task's splits, by name: what a patch file says of its data."""
    return {split: contents.digest for split, contents in splits.items()}


def identity(tasks: Sequence[Task], data: Sequence[Held]) -> dict[str, Any]:
    """What tells tasks and their data from others of the same names, for the record of a run.

    As plain JSON. Where the data lie is not part of it: what was moved is the same.
    """
    return host_state.plain(
        {
            "tasks": [f"{task.name} {task.version}" for task in tasks],
            "data": {task.name: _data(task, own) for task, own in zip(tasks, data, strict=True)},
        }
    )


def _data(task: Task, splits: Held) -> dict[str, Any]:
    return {
        "source": type(task.source).__name__,
        "labels": task.labels,
        "head": task.head,
        "inputs": task.inputs,
        **({"words": task.words} if task.words else {}),
        "fit": task.fit,
        "background": task.background,
        "augmentation": dataclasses.asdict(task.augmentation),
        **({"size": task.size} if task.size else {}),
        **{split: str(contents) for split, contents in splits.items()},
    }


def _listed(tasks: Wanted | Sequence[Wanted]) -> Sequence[Wanted]:
    """A tuple is arrays, unless it begins with a name or a task. Raises NoTaskError."""
    if _has_name(tasks):
        return [tasks]
    if isinstance(tasks, tuple) and tasks and not _has_name(tasks[0]):
        return [_arrays(tasks)]
    if not isinstance(tasks, Sequence | Set):
        raise NoTaskError(f"{type(tasks).__name__} is no task")
    if not tasks:
        raise NoTaskError("no task is given")
    if all(isinstance(one, str) for one in tasks):
        return spelling.whole([str(one) for one in tasks])
    return [one if _has_name(one) else _arrays(one) for one in tasks]


def _has_name(one: object) -> TypeGuard[str | os.PathLike[str] | Task]:
    return isinstance(one, str | os.PathLike | Task)


def _arrays(one: object) -> tuple[Any, Sequence[Any]]:
    if not isinstance(one, tuple):
        raise NoTaskError(f"{type(one).__name__} is no task")
    if len(one) != 2:
        raise NoTaskError(f"a tuple of {len(one)} is no task")
    return one


def _name(one: str | os.PathLike[str]) -> str:
    """A path is a task's file, a table, or a folder of images."""
    if isinstance(one, str):
        return one
    path = os.fspath(one)
    closed = spelling.closed(path)
    if path.endswith(".csv"):
        return f"{table.KIND}:{closed}"
    return path if path.endswith(".py") else f"{folder.KIND}:{closed}"
