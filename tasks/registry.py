"""From the names a user types to tasks."""

import functools
import importlib
import importlib.util
import pathlib
import pkgutil
from collections.abc import Sequence

import tasks
from adapters import errors
from tasks import coco, folder, suites, table
from tasks.task import Task

_TASKS: dict[str, Task] = {}


class TaskFileError(errors.ModelPatchError):
    """A Python file given as a task is missing, fails, or registers none."""


class SeveralTasksError(errors.ModelPatchError):
    """One task was wanted, and several were named."""


def register(task: Task) -> Task:
    """Makes `task` known by its name, and returns it.

    Raises DuplicateNameError when a task or suite of that name exists.
    """
    if task.name in _TASKS or task.name in suites.SUITES:
        raise errors.DuplicateNameError("task", task.name)
    _TASKS[task.name] = task
    return task


def known() -> tuple[str, ...]:
    """Returns the names of all registered tasks, sorted."""
    _discover()
    return tuple(sorted(_TASKS))


def resolve(names: Sequence[str]) -> tuple[Task, ...]:
    """Returns the tasks meant by `names`, in their order, each once.

    A name is a task's, a suite's (see `tasks.suites`), `folder:PATH` for images with one sub-folder
    a class, `csv:FILE` for a table of images and labels, `coco:IMAGES,ANNOTATIONS` for images with
    boxes, or the path of a Python file that registers tasks, which is run: names come from who runs
    the program, never from a file (see `registered`).

    Raises UnknownNameError with near names, DuplicateNameError when two different tasks share a
    name, TaskFileError, or FolderError.
    """
    _discover()
    chosen: dict[str, Task] = {}
    for name in whole(names):
        for task in _members(name):
            if chosen.setdefault(task.name, task) != task:
                raise errors.DuplicateNameError("task", task.name)
    return tuple(chosen.values())


def whole(names: Sequence[str]) -> list[str]:
    """Names that were cut at commas, with those of `coco:IMAGES,ANNOTATIONS` whole again.

    >>> whole(["digits", "coco:shots", "shots.json"])
    ['digits', 'coco:shots,shots.json']
    """
    found: list[str] = []
    for name in names:
        if found and found[-1].startswith(coco.PREFIX) and "," not in found[-1]:
            found[-1] += f",{name}"
        else:
            found.append(name)
    return found


def resolve_one(name: str) -> Task:
    """Returns the one task meant by `name`.

    Raises SeveralTasksError for the name of a suite, and what `resolve` raises.
    """
    found = resolve([name])
    if len(found) > 1:
        listed = ", ".join(task.name for task in found)
        raise SeveralTasksError(f"{name!r} is {len(found)} tasks; give one of them: {listed}.")
    return found[0]


def registered(name: str) -> Task:
    """Returns the task registered by this very name; for names that a file gives.

    Nothing is opened and nothing runs, whatever the name is: a patch's card must not choose which
    Python file is a task. Raises UnknownNameError with near names.
    """
    _discover()
    if name not in _TASKS:
        raise errors.UnknownNameError("task", name, list(_TASKS))
    return _TASKS[name]


def _members(name: str) -> Sequence[Task]:
    if name.startswith(folder.PREFIX):
        return [_new(folder.folder_task(name.removeprefix(folder.PREFIX)))]
    if name.startswith(table.PREFIX):
        return [_new(table.table_task(name.removeprefix(table.PREFIX)))]
    if name.startswith(coco.PREFIX):
        return [_new(coco.coco_task(name.removeprefix(coco.PREFIX)))]
    if name.endswith(".py"):
        return _register_file(pathlib.Path(name).expanduser().resolve())
    if name in suites.SUITES:
        return [_TASKS[member] for member in suites.SUITES[name]]
    if name in _TASKS:
        return [_TASKS[name]]
    there, hint = pathlib.Path(name).expanduser(), ""
    if name and there.is_dir():
        hint = f"There is a folder of that name: {folder.PREFIX}{name}."
    elif name and there.is_file():
        hint = f"There is a file of that name: {table.PREFIX}{name}, if it is a table."
    raise errors.UnknownNameError("task or suite", name, [*_TASKS, *suites.SUITES], hint)


def _new(task: Task) -> Task:
    if task.name in _TASKS or task.name in suites.SUITES:
        raise errors.DuplicateNameError("task", task.name)
    return task


@functools.cache
def _discover() -> None:
    """Imports every module beside this one: a task's file registers what it defines."""
    for module in pkgutil.iter_modules(tasks.__path__):
        importlib.import_module(f"tasks.{module.name}")


@functools.cache
def _register_file(path: pathlib.Path) -> Sequence[Task]:
    if not path.is_file():
        raise TaskFileError(f"there is no task file {path}.")
    before = set(_TASKS)
    specification = importlib.util.spec_from_file_location(f"tasks_from_{path.stem}", path)
    assert specification is not None
    assert specification.loader is not None
    try:
        specification.loader.exec_module(importlib.util.module_from_spec(specification))
    except errors.ModelPatchError:
        raise
    except Exception as error:
        raise TaskFileError(f"{path} failed: {type(error).__name__}: {error}") from error
    added = [task for name, task in _TASKS.items() if name not in before]
    if not added:
        raise TaskFileError(f"{path} registers no task: it must call `tasks.registry.register`.")
    return added
