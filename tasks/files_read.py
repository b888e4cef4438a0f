"""Which of the user's files a call reads, so that none is left out of what its result depends on.

Python tells of each file that it opens (PEP 578, "Python Runtime Audit Hooks"); not of those that
libraries open by themselves. What comes with Python, packages or carriers has versions, and what
the call has written or removed again is its own: none of these count.
"""

import contextlib
import functools
import importlib.machinery
import os
import pathlib
import site
import sys
import threading
from collections.abc import Iterator

import adapters
import tasks
from adapters import files

_WRITES = os.O_WRONLY | os.O_RDWR
_SYSTEM = ("/dev", "/etc", "/proc", "/sys", "~/.cache", "~/.config")
_watching = threading.local()


class FilesRead:
    """Files that the thread opens while it is watched."""

    def __init__(self) -> None:
        self._opened: set[str] = set()
        self._written: set[str] = set()
        ours = [folder for package in (adapters, tasks) for folder in package.__path__]
        own = [sys.prefix, sys.base_prefix, site.getuserbase(), str(files.cache_directory())]
        self._versioned = [
            os.path.realpath(os.path.expanduser(place)) for place in (*_SYSTEM, *own, *ours)
        ]

    def note(self, path: str, *, writes: bool) -> None:
        """One is opened."""
        if writes:
            self._written.add(path)
        elif path not in self._written:
            self._opened.add(path)

    def taken(self) -> list[pathlib.Path]:
        """Those of the user's that were read since this was last asked."""
        paths = [pathlib.Path(os.path.realpath(path)) for path in self._opened]
        self._opened.clear()
        return sorted(path for path in paths if path.is_file() and not self._has_a_version(path))

    def _has_a_version(self, path: pathlib.Path) -> bool:
        code = path.name.endswith(tuple(importlib.machinery.all_suffixes()))
        return code or any(path.is_relative_to(place) for place in self._versioned)


@contextlib.contextmanager
def watched() -> Iterator[FilesRead]:
    """Notes which files this thread reads within the block."""
    _install()
    own = _watching.now = FilesRead()
    try:
        yield own
    finally:
        if _watching.now is own:
            _watching.now = None


@functools.cache
def _install() -> None:
    """Once: Python never lets go of a hook."""
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or (watching := getattr(_watching, "now", None)) is None:
        return
    path, mode, flags = arguments
    if isinstance(path, str | bytes | os.PathLike):
        by_mode = isinstance(mode, str) and bool(set(mode) & set("wax+"))
        by_flags = isinstance(flags, int) and bool(flags & _WRITES)
        watching.note(os.path.abspath(os.fsdecode(path)), writes=by_mode or by_flags)
