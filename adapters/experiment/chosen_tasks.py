"""From what a user calls tasks to tasks."""

from collections.abc import Sequence
from typing import Any

from adapters.errors import DuplicateNameError
from tasks import loading, registry
from tasks.task import Task

Wanted = str | Task | tuple[Any, Sequence[Any]]
"""A task or suite by name, a task, or arrays: (images [N, H, W, 3] uint8, labels [N])."""


def chosen(tasks: Wanted | Sequence[Wanted]) -> tuple[Task, ...]:
    """The tasks meant by one wanted thing or a list of them, in order.

    Arrays become the task `arrays`, further ones `arrays_2` and so on: name them yourself with
    `Task.from_arrays`.

    Raises:
      UnknownNameError, FolderError, TaskFileError: see `tasks.registry.resolve`.
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
            members = [one] if isinstance(one, Task) else registry.resolve([one])
        for task in members:
            if found.setdefault(task.name, task) != task:
                raise DuplicateNameError("task", task.name)
    return tuple(found.values())


def names(tasks: Wanted | Sequence[Wanted]) -> list[str]:
    """The tasks as they were called; those without a name by the one that `chosen` gives them."""
    return [
        name
        for one in _listed(tasks)
        for name in ([one] if isinstance(one, str) else [task.name for task in chosen([one])])
    ]


def identity(tasks: Sequence[Task]) -> dict[str, object]:
    """What tells tasks from others of the same names, for the record of a run."""
    digests = {task.name: digest for task in tasks if (digest := loading.digest(task))}
    return {
        "tasks": [f"{task.name} {task.version}" for task in tasks],
        **({"data": digests} if digests else {}),
    }


def _listed(tasks: Wanted | Sequence[Wanted]) -> Sequence[Wanted]:
    """A tuple is arrays, unless it holds names and tasks alone."""
    if isinstance(tasks, str | Task):
        return [tasks]
    if isinstance(tasks, tuple) and not all(isinstance(one, str | Task) for one in tasks):
        return [tasks]
    return list(tasks)
