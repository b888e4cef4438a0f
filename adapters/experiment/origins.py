"""Where the tasks of a run come from, beside its patch files: so that these find their data again.

It is no part of the patch files, which leave the machine that the data lie on.
"""

import json
import os
import pathlib
from collections.abc import Sequence

from adapters import files
from tasks import hub, registry, spelling
from tasks.task import Task

FILE = "tasks.json"
_MOST = 1 << 20  # bytes


def write(tasks: Sequence[Task], directory: pathlib.Path) -> None:
    """Writes how the tasks of users' own data are spelled, by name, if there are any."""
    spelled = {task.name: task.spelled for task in tasks if task.spelled}
    if spelled:
        files.write_bytes(directory / FILE, json.dumps(spelled, indent=1).encode() + b"\n")


def found(patch: str | os.PathLike[str], name: str, data_dir: str | None = None) -> Task | None:
    """The task that a run called `name`, by what it wrote beside the file `patch`.

    None where it wrote nothing of it. Only data that lie here are read: what names a program is
    passed over, and so is a name of a hub, which who evaluates has to give. Raises what
    `registry.of_own_data` raises: where the data are no longer there, say.
    """
    path = pathlib.Path(patch).parent / FILE
    try:
        with path.open("rb") as file:
            known = json.loads(file.read(_MOST))
    except (OSError, ValueError):
        return None
    text = known.get(name) if isinstance(known, dict) else None
    if not isinstance(text, str):
        return None
    spelled = spelling.parse(text)
    if spelled is None or (spelled.kind == hub.KIND and not pathlib.Path(spelled.place).is_dir()):
        return None
    task = registry.of_own_data(text, data_dir)
    return task if task is not None and task.name == name else None
