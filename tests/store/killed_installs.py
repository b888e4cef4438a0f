"""Installs that are killed, in processes of their own: what `test_install_kills` asks about.

    python -m tests.store.killed_installs FOLDER lines|moments|pair

prints what was seen as JSON. It is a program and not a fixture, because it forks: a process that
has loaded JAX must not.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from adapters import files
from adapters.errors import ModelPatchError
from adapters.store import folder_lock, installed, store_folder
from tests.store import toy_store

WATCHED = {module.__file__ for module in (files, folder_lock, installed, store_folder)}
KILLS = 40  # at random moments, and more until what answers afterwards has differed:
DIFFERENT = 6
SECONDS = 60  # unless that takes too long
PATCHES = 120


def forked(action: Callable[[], None]) -> int:
    """Starts a child that does `action` and ends with 0, or with 1 for any error; its id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return child


def ended(child: int) -> int:
    """The child's exit status, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at_line(line: int, action: Callable[[], None]) -> None:
    """Does `action`, killed before the given line of the watched modules, counted as they run."""
    seen = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        nonlocal seen
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)


def lines(folder: pathlib.Path) -> dict[str, Any]:
    """For each change of a store: `(killed, what answers, what answers once it is done again)`."""
    path = toy_store.write(folder, toy_store.patch(3))
    root = folder / "store"
    changes: dict[str, tuple[list[int], Callable[[], object]]] = {
        "first": ([], lambda: toy_store.store(root).install(path)),
        "update": ([1, 2], lambda: toy_store.store(root).install(path)),
        "roll_back": ([1, 2], lambda: toy_store.store(root).roll_back("tiny")),
    }
    seen: dict[str, Any] = {}
    for name, (before, change) in changes.items():
        seed = folder / f"seed_{name}"
        seed.mkdir()
        for number in before:
            earlier = toy_store.write(folder / "earlier", toy_store.patch(number))
            toy_store.store(seed).install(earlier)
        seen[name] = []
        status, line = -signal.SIGKILL, 0
        while status:
            line += 1
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(seed, root)
            status = ended(forked(lambda n=line, do=change: killed_at_line(n, do)))
            answer = toy_store.number(root)
            path_again = toy_store.store(root).install(path).task_version
            left = [item for item in toy_store.listing(root) if "/." in item]
            seen[name].append((status, answer, path_again, left))
    return seen


def moments(folder: pathlib.Path) -> dict[str, Any]:
    """What answers after each kill of a process that installs rising versions, in each store."""
    generator = random.Random(0)
    paths = [
        toy_store.write(folder / str(number), toy_store.patch(number, f"1.{number}"))
        for number in range(PATCHES)
    ]
    stores: list[list[int | None]] = []
    kills, end = 0, time.monotonic() + SECONDS
    seen: set[int | None] = set()
    while (kills < KILLS or len(seen) < DIFFERENT) and time.monotonic() < end:
        if not stores or stores[-1][-1:] == [PATCHES - 1]:
            stores.append([])  # all are installed there
        root, answers = folder / f"store_{len(stores)}", stores[-1]
        done = answers[-1] if answers and answers[-1] is not None else 0

        def install(root: pathlib.Path = root, first: int = done) -> None:
            for path in paths[first:]:
                toy_store.store(root).install(path)

        child = forked(install)
        time.sleep(generator.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        if ended(child) not in (-signal.SIGKILL, 0):
            raise RuntimeError("an installation failed by itself")
        answers.append(toy_store.number(root))
        seen.add(answers[-1])
        kills += 1
    return {"answers": stores}


def pair(folder: pathlib.Path) -> dict[str, Any]:
    """Two processes install even and odd versions into one store, while a third one asks."""
    root = folder / "store"
    paths = [
        toy_store.write(folder / str(number), toy_store.patch(number, f"1.{number}"))
        for number in range(PATCHES)
    ]

    def install(parity: int) -> None:
        refused = []
        for path in paths[parity::2]:
            try:
                toy_store.store(root).install(path)
            except ModelPatchError as error:
                refused.append(type(error).__name__)
        (folder / f"refused_{parity}.json").write_text(json.dumps(refused))

    children = [forked(lambda n=number: install(n)) for number in range(2)]
    answers: list[int | None] = []
    statuses: list[int] = []
    while children:
        answers.append(toy_store.number(root))
        for child in list(children):
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                children.remove(child)
                statuses.append(os.waitstatus_to_exitcode(status))
    answers.append(toy_store.number(root))
    refused = [json.loads((folder / f"refused_{n}.json").read_text()) for n in range(2)]
    left = toy_store.listing(root)
    return {"answers": answers, "statuses": statuses, "refused": refused, "left": left}


if __name__ == "__main__":
    # A kill, unlike a loss of power, loses nothing that the operating system was given.
    os.fsync = lambda descriptor: None
    do = {"lines": lines, "moments": moments, "pair": pair}[sys.argv[2]]
    print(json.dumps(do(pathlib.Path(sys.argv[1]))))
