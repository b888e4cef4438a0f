"""What a user's task makes its images from: its own file, and those that it reads."""

import hashlib
import inspect
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from tasks import digest, files_read
from tasks.task import TaskError

Item = TypeVar("Item")
Paths = Sequence[str | os.PathLike[str]]


class UndeclaredFileError(TaskError):
    """A task's images are made from a file that its source does not name."""

    def __init__(self, task: str, path: pathlib.Path):
        super().__init__(
            f"task {task!r} makes its images from {path}, which its source does not name, so that "
            "they would stay as they are when it changes. Name it, or its folder: "
            f"Carried(..., reads=[{str(path.parent)!r}])."
        )
        self.path = path


def key(generate: Callable[[], Any], reads: Paths) -> str:
    """Eight digits that are others where the file of `generate` is, or what lies at `reads`.

    Raises TaskError where nothing lies there, or a pipe or a device.
    """
    found = hashlib.sha256(pathlib.Path(inspect.getsourcefile(generate) or "").read_bytes())
    if reads:
        found.update(digest.of_files(_files(reads)).digest.encode())
    return found.hexdigest()[:8]


def checked(task: str, generate: Callable[[], Iterable[Item]], reads: Paths) -> Iterator[Item]:
    """What `generate` yields; raises UndeclaredFileError where it reads a file beside `reads`."""
    known = [os.path.realpath(_path(each)) for each in reads]
    with files_read.watched() as watched:
        for item in generate():
            for path in watched.taken():
                if not any(path.is_relative_to(each) for each in known):
                    raise UndeclaredFileError(task, path)
            yield item


def _files(reads: Paths) -> Iterator[tuple[str, pathlib.Path]]:
    for number, each in enumerate(reads):
        path = _path(each)
        if not path.exists():
            raise TaskError(f"a task reads {path}, where nothing lies: mend its `reads`.")
        if not path.is_file() and not path.is_dir():
            raise TaskError(
                f"a task reads {path}, which is a pipe or a device and may never end: write what "
                "it gives into a file, and name that in `reads`."
            )
        if path.is_file():
            yield str(number), path
        for folder, below, names in os.walk(path, followlinks=True):
            below.sort()
            for name in sorted(names):
                file = pathlib.Path(folder, name)
                yield f"{number}/{file.relative_to(path).as_posix()}", file


def _path(given: str | os.PathLike[str]) -> pathlib.Path:
    return pathlib.Path(given).expanduser()
