"""From the names a user types to tasks."""

import functools
import importlib
import importlib.util
import pathlib
import pkgutil
import re
from collections.abc import Sequence

import tasks
from adapters import errors
from tasks import own_data, spelling, suites
from tasks.task import Task

_TASKS: dict[str, Task] = {}
_SIZED = re.compile(r"([^@]+)@([1-9]\d{0,3})")


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


def resolve(names: Sequence[str], data_dir: str | None = None) -> tuple[Task, ...]:
    """Returns the tasks meant by `names`, in their order, each once.

    A name is a task's, a suite's (see `tasks.suites`), one of the user's own data (`folder:PATH`,
    say: see `tasks.own_data`), or the path of a Python file that registers tasks, which is run:
    names come from who runs the program, never from a file (see `registered`). `NAME@96` is the
    same, for images of 96 pixels a side. `data_dir` is where TFDS data was prepared, by default
    TFDS's own folder.

    Raises UnknownNameError with near names, DuplicateNameError when two different tasks share a
    name, TaskFileError, or what `own_data.task` raises.
    """
    _discover()
    chosen: dict[str, Task] = {}
    for name in spelling.whole(names):
        for task in _members(name, data_dir):
            if chosen.setdefault(task.name, task) != task:
                raise errors.DuplicateNameError("task", task.name)
    return tuple(chosen.values())


def resolve_one(name: str, data_dir: str | None = None) -> Task:
    """Returns the one task meant by `name`.

    Raises SeveralTasksError for the name of a suite, and what `resolve` raises.
    """
    found = resolve([name], data_dir)
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
    if name in _TASKS:
        return _TASKS[name]
    sized = _SIZED.fullmatch(name)
    if sized and sized[1] in _TASKS:
        return _TASKS[sized[1]].at(int(sized[2]))
    raise errors.UnknownNameError("task", name, list(_TASKS))


def of_own_data(name: str, data_dir: str | None = None) -> Task | None:
    """The task of the user's own data that `name` spells; None for a text of another form.

    Nothing that it says is run. Raises DuplicateNameError and what `own_data.task` raises.
    """
    _discover()
    found = own_data.task(name, data_dir)
    if found is not None and (found.name in _TASKS or found.name in suites.SUITES):
        how = "give it another name before its place, NAME=folder:PATH, say"
        raise errors.DuplicateNameError("task", found.name, how)
    return found


def _members(name: str, data_dir: str | None) -> Sequence[Task]:
    if own := of_own_data(name, data_dir):
        return [own]
    if name.endswith(".py"):
        return _register_file(pathlib.Path(name).expanduser().resolve())
    if name in suites.SUITES:
        return [_TASKS[member] for member in suites.SUITES[name]]
    if name in _TASKS:
        return [_TASKS[name]]
    if sized := _SIZED.fullmatch(name):
        return [task.at(int(sized[2])) for task in _members(sized[1], data_dir)]
    known = [*_TASKS, *suites.SUITES]
    raise errors.UnknownNameError("task or suite", name, known, own_data.hint(name))


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
