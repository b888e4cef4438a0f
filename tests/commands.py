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

from tests import imports

SECONDS = 90  # after which a command is killed
OWN = ("launch", "tests")  # where commands lie, which their own process reads


def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a module of ours to its end, here and in this environment."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [os.path.join(folder, name) for name in ("stdout", "stderr")]
        asked = {
            "module": module,
            "arguments": [str(argument) for argument in arguments],
            "folder": os.getcwd(),
            "environment": dict(os.environ),
            "streams": streams,
        }
        forking = _forking()
        print(json.dumps(asked), file=forking.stdin, flush=True)
        status = int(forking.stdout.readline())
        said = [pathlib.Path(stream).read_text() for stream in streams]
    return subprocess.CompletedProcess(asked["arguments"], status, *said)


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
    """Forks for each line of JSON that comes in, and says how each ended."""
    warnings.filterwarnings("ignore", category=RuntimeWarning, message="os.fork")
    for line in sys.stdin:
        asked = json.loads(line)
        _import_for(asked["module"])
        process = os.fork()
        if not process:
            _become(**asked)
            sys.exit()
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


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
