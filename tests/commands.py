"""Commands in processes of their own, without a second of imports for each.

One process imports what commands need, and forks for each. So that has flags, streams, an end and a
status of its own, as one of `python -m MODULE` has.
"""

import ast
import atexit
import functools
import gc
import importlib
import importlib.util
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from typing import NamedTuple

from tests import imports

SECONDS = 600  # after which a command is killed
OWN = ("launch", "tests")  # where commands lie, which their own process reads


def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a module of ours to its end, here and in this environment."""
    return start(module, *arguments).end()


def start(module: str, *arguments: object) -> "Running":
    """Begins to run a module of ours, once the one before has ended."""
    folder = tempfile.TemporaryDirectory()
    streams = [os.path.join(folder.name, name) for name in ("stdout", "stderr")]
    asked = {
        "module": module,
        "arguments": [str(argument) for argument in arguments],
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "streams": streams,
    }
    print(json.dumps(asked), file=_forking().stdin, flush=True)
    return Running(_heard("began"), asked["arguments"], folder)


class Running(NamedTuple):
    """A module that runs, and the folder of what it prints."""

    process: int
    arguments: list[str]
    folder: "tempfile.TemporaryDirectory[str]"

    def end(self) -> subprocess.CompletedProcess[str]:
        """Waits for it."""
        status = _heard("ended")
        with self.folder as folder:
            said = [pathlib.Path(folder, name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(self.arguments, status, *said)


def _heard(what: str) -> int:
    """The number beside the next such word; a test that failed may have left others unheard."""
    while True:
        word, number = _forking().stdout.readline().split()
        if word == what:
            return int(number)


@functools.cache
def _forking() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        env={**os.environ, "PYTHONPATH": str(imports.ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process


def main() -> None:
    """Forks for each line of JSON that comes in, and says when each began and how it ended."""
    warnings.filterwarnings("ignore", category=RuntimeWarning, message="os.fork")
    for line in sys.stdin:
        asked = json.loads(line)
        _import_for(asked["module"])
        process = os.fork()
        if not process:
            _become(**asked)
            sys.exit()
        print("began", process, flush=True)
        _, status = os.waitpid(process, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


@functools.cache
def _import_for(module: str) -> None:
    """Imports what a command does when it begins, but no commands: each has flags, for itself."""
    origin = importlib.util.find_spec(module).origin
    tree = ast.parse(pathlib.Path(origin).read_bytes())
    first = ast.Module(
        [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    )
    for name in imports.imported_names(first, module.rpartition(".")[0]):
        for found in (name, name.rpartition(".")[0]):
            try:
                spec = importlib.util.find_spec(found)
            except ModuleNotFoundError:
                continue
            if spec is None:
                continue
            if found.partition(".")[0] not in OWN:
                importlib.import_module(found)
            elif spec.origin != origin:
                _import_for(found)
            break
    gc.freeze()


def _become(
    module: str,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    streams: list[str],
) -> None:
    """Runs the module as this process: what it raises ends it."""
    signal.alarm(SECONDS)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, stream in enumerate(streams, 1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
