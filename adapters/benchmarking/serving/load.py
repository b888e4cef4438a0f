"""Starts the load generator, Locust, in a Python of its own, and reads its report."""

import dataclasses
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile
from collections.abc import Sequence

from adapters.benchmarking.interleave import ROOT, MissingPeerError
from adapters.benchmarking.serving import questions
from adapters.benchmarking.serving.questions import Question
from adapters.errors import ModelPatchError

LOCUST = ("-m", "locust", "-f", str(pathlib.Path(__file__).with_name("locustfile.py")))
WARM_UP = 1.0  # seconds
LONGEST = 900  # seconds of a run
QUOTED = 5  # mistakes


class WrongAnswerError(ModelPatchError):
    """A server answered otherwise than it had to."""


class GeneratorError(ModelPatchError):
    """The load generator ended without a report."""


@dataclasses.dataclass(frozen=True)
class Report:
    """What came of a run.

    Attributes:
      per_second: answers a second, once it was warm.
      p50, p99: milliseconds, of those answers.
      kinds: {kind: how many were asked}, of the whole run.
    """

    per_second: float
    p50: float
    p99: float
    kinds: dict[str, int]

    @property
    def asked(self) -> int:
        """Requests of the whole run."""
        return sum(self.kinds.values())


class Generator:
    """The load generator.

    Args:
      python: an interpreter that has Locust.
      program: its arguments that start the generator.

    Raises MissingPeerError.
    """

    def __init__(self, python: str, program: Sequence[str] = LOCUST):
        self._command = [python, "-P", *program]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._environment = {**os.environ, "PYTHONPATH": path}
        try:
            ended = self._run(["--version"], LONGEST)
        except OSError as error:
            raise MissingPeerError(f"{python} cannot be run: {error}.") from error
        if ended.returncode:
            raise MissingPeerError(
                f"{python} has no Locust: make an environment for it (`python -m venv out/locust`, "
                "`out/locust/bin/pip install --require-hashes --no-deps --requirement "
                "requirements/load.lock`) and give its Python, out/locust/bin/python.",
                settings=["load_python"],
            )

    def for_seconds(
        self, host: str, asked: Sequence[Question], clients: int, seconds: int, seed: int
    ) -> Report:
        """Asks again and again; raises WrongAnswerError, GeneratorError."""
        end = WARM_UP + seconds
        flags = [f"--lasting={end}", f"--seed={seed}"]
        return self._report(host, asked, clients, flags, WARM_UP, end)

    def once(self, host: str, asked: Sequence[Question], clients: int) -> Report:
        """Asks each question once, in order; raises WrongAnswerError, GeneratorError."""
        report = self._report(host, asked, clients, ["--once"], 0.0, float("inf"))
        if report.asked != len(asked):
            raise GeneratorError(f"only {report.asked} of {len(asked)} questions were asked.")
        return report

    def _report(
        self,
        host: str,
        asked: Sequence[Question],
        clients: int,
        flags: Sequence[str],
        begin: float,
        end: float,
    ) -> Report:
        with tempfile.TemporaryDirectory() as folder:
            questions.write(pathlib.Path(folder), asked)
            report = pathlib.Path(folder) / "report.json"
            own = [f"--questions={folder}", f"--report={report}", *flags]
            load = [f"--host={host}", f"--users={clients}", f"--spawn-rate={clients}"]
            try:
                ended = self._run(["--headless", "--loglevel=ERROR", *load, *own], LONGEST)
            except subprocess.TimeoutExpired as error:
                raise GeneratorError(f"the load generator took longer than {LONGEST} s.") from error
            if not report.exists():
                raise GeneratorError(f"the load generator failed: {ended.stderr[-2000:]}")
            found = json.loads(report.read_text())
        if found["mistaken"]:
            first = "\n".join(found["mistakes"][:QUOTED])
            raise WrongAnswerError(
                f"{found['mistaken']} of {len(found['ends'])} answers were wrong. The first are:\n"
                f"{first}"
            )
        pairs = zip(found["ends"], found["milliseconds"], strict=True)
        kept = [(when, took) for when, took in pairs if begin <= when <= end]
        if len(kept) < 2:
            raise GeneratorError("the load generator had too few answers: let it run for longer.")
        percentiles = statistics.quantiles([took for _, took in kept], n=100, method="inclusive")
        last = end if math.isfinite(end) else max(when for when, _ in kept)
        per_second = len(kept) / (last - begin)
        return Report(per_second, percentiles[49], percentiles[98], found["kinds"])

    def _run(self, flags: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *flags],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
