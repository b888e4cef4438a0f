"""Times sides in turn: they never run at once, and noise of minutes strikes all of them alike."""

import json
import os
import pathlib
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.benchmarking.cases import Case
from adapters.benchmarking.worker import request
from adapters.errors import ModelPatchError

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class WorkerError(ModelPatchError):
    """A side could not do what it was asked."""


class MissingPeerError(ModelPatchError):
    """The peer is not installed in the Python that should run it."""


class Worker:
    """A process that holds one side; see `worker` for what it is told.

    Args:
      python: the interpreter.
      module: run as `python -m module`; ends in `worker.serve`.
      environment: variables beside this process's own.

    Raises:
      MissingPeerError: the interpreter, or what the module needs, is missing.
    """

    def __init__(self, python: str, module: str, environment: Mapping[str, str]):
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._module = module
        try:
            self._process = subprocess.Popen(
                [python, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": path, **environment},
            )
        except OSError as error:
            raise MissingPeerError(f"{python} cannot be run: {error}.") from error
        try:
            hello = self._read()
        except WorkerError as error:
            self.close()
            raise MissingPeerError(f"{module} does not start in {python}: {error}") from error
        if "missing" in hello:
            self.close()
            raise MissingPeerError(f"{python} lacks what {module} needs: {hello['missing']}.")
        self.name: str = hello["name"]
        self.device: str = hello["device"]

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self, case: Case) -> dict[str, float]:
        """Builds, compiles and runs `case` once; returns what was learnt on the way."""
        return self._ask("prepare", case)["facts"]

    def time(self, case: Case) -> float:
        """Seconds of one run of a prepared case."""
        return self._ask("time", case)["seconds"]

    def forget(self, case: Case) -> None:
        """Frees a prepared case."""
        self._ask("forget", case)

    def close(self) -> None:
        """Ends the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, action: str, case: Case) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request(action, case))
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(f"{self._module} has ended.") from error
        reply = self._read()
        if "error" in reply:
            raise WorkerError(f"{self._module} could not {action} {case}: {reply['error']}")
        return reply

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise WorkerError(f"{self._module} ended with status {status}; see what it said above.")
        return json.loads(line)


def interleaved(sides: Sequence[Callable[[], float]], repetitions: int) -> list[list[float]]:
    """Calls every side once a round, each round beginning one side further.

    Returns what each side gave, [sides][repetitions].
    """
    results: list[list[float]] = [[] for _ in sides]
    for round_number in range(repetitions):
        for turn in range(len(sides)):
            side = (round_number + turn) % len(sides)
            results[side].append(sides[side]())
    return results


def throughput_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median over rounds of theirs / ours, in seconds: above 1, ours is faster."""
    return statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
