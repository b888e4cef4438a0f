"""Runs comparisons and turns them into rows of results."""

import dataclasses
import statistics
import tempfile
from collections.abc import Callable, Mapping

from absl import logging

from adapters.benchmarking.cases import Platform
from adapters.benchmarking.interleave import Worker, WorkerError, interleaved, throughput_ratio
from adapters.benchmarking.plan import Comparison, Contender
from adapters.benchmarking.processor import processor
from adapters.benchmarking.row import row
from adapters.errors import ModelPatchError
from adapters.training.tidy import Measurement

# What a start costs; in our long-lived process it would depend on what ran before.
STARTING = ("first run", "programs compiled")
COUNTS = ("bytes", "flops", "programs", "values")
UNITS = {
    "first run": "s",
    "flops": "flops",
    "programs compiled": "programs",
    "programs compiled after": "programs",
    "temp memory": "bytes",
    "values trained": "values",
}
Facts = Mapping[str, float]


class DifferentWorkError(ModelPatchError):
    """Two sides were to train the same values, and did not."""


@dataclasses.dataclass(frozen=True)
class Sides:
    """The processes that do the work.

    Attributes:
      ours: our side.
      peer: the peer's side; None where it is not installed.
      fresh: starts another process of our side that keeps compiled programs in the given folder.
      jax: our side in JAX, where `ours` is not that.
    """

    ours: Worker
    peer: Worker | None
    fresh: Callable[[str], Worker]
    jax: Worker | None = None

    def name(self, contender: Contender) -> str:
        """What results call a contender: `one task`, or `PyTorch 2.13.0 eager`."""
        if contender.side != "peer":
            return contender.label
        assert self.peer is not None
        return f"{self.peer.name} {contender.label}"

    def worker(self, contender: Contender) -> Worker:
        """The process that runs a contender which is present."""
        worker = {"ours": self.ours, "jax": self.jax, "peer": self.peer}[contender.side]
        assert worker is not None
        return worker

    def present(self, comparison: Comparison) -> list[Contender]:
        """The contenders that have a process here."""
        return [one for one in comparison.contenders if one.side != "peer" or self.peer is not None]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all rows of a run share.

    Attributes:
      threads: of a side.
      repetitions: timed runs of a contender.
      command: that measures it.
      processor: the machine's, or the GPU.
      platform: what does the work.
    """

    threads: int
    repetitions: int
    command: str
    processor: str = dataclasses.field(default_factory=processor)
    platform: Platform = "cpu"

    @property
    def machine(self) -> str:
        """As the rows' settings end."""
        return f"{self.threads} threads, {self.processor}"


def keys(comparison: Comparison, sides: Sides, settings: Settings) -> set[tuple[str, str, str]]:
    """The (backbone, patch, setting) that the contenders' rows will bear."""
    return {
        (one.case.backbone, one.case.patch, _setting(comparison, sides.name(one), settings))
        for one in sides.present(comparison)
    }


def measure(comparison: Comparison, sides: Sides, settings: Settings) -> list[Measurement]:
    """Rows of one comparison; a peer that fails is left out, with a warning.

    Raises:
      WorkerError: our own side failed.
      DifferentWorkError: a peer trained another number of values.
    """
    seconds: dict[Contender, list[float]] = {}
    if comparison.timed:
        facts, seconds = _timed(comparison, sides, settings.repetitions)
    else:
        facts = _starts(comparison, sides)
    first, *others = facts
    _check_same_work(first, facts)
    rows = []
    for one, known in facts.items():
        figures = [(name, value, UNITS[name]) for name, value in known.items()]
        if one in seconds:
            figures.insert(0, _speed(one, statistics.median(seconds[one])))
        setting = _setting(comparison, sides.name(one), settings)
        rows += [_row(comparison, setting, figure, settings) for figure in figures]
    for other in others:
        if other in seconds:
            ratio = throughput_ratio(seconds[first], seconds[other])
            setting = _setting(comparison, f"peer {sides.name(other)}", settings)
            rows.append(_row(comparison, setting, ("ratio", ratio, "times"), settings))
    if comparison.beyond is not None:
        more = statistics.median(a - b for a, b in zip(*seconds.values(), strict=True))
        setting = _setting(comparison, comparison.beyond, settings)
        rows.append(_row(comparison, setting, ("time", 1000 * more, "ms"), settings))
    return rows


def _timed(
    comparison: Comparison, sides: Sides, repetitions: int
) -> tuple[dict[Contender, Facts], dict[Contender, list[float]]]:
    facts: dict[Contender, Facts] = {}
    workers: dict[Contender, Worker] = {}
    for one in sides.present(comparison):
        worker = sides.worker(one)
        try:
            found = worker.prepare(one.case)
        except WorkerError as error:
            if one.side != "peer":
                raise
            logging.warning("%s is left out: %s", sides.name(one), error)
        else:
            workers[one] = worker
            hidden = () if one.side == "peer" else STARTING
            facts[one] = {name: value for name, value in found.items() if name not in hidden}
    timers = [_timer(worker, one) for one, worker in workers.items()]
    seconds = dict(zip(workers, interleaved(timers, repetitions), strict=True))
    for one, worker in workers.items():
        worker.forget(one.case)
    return facts, seconds


def _timer(worker: Worker, contender: Contender) -> Callable[[], float]:
    return lambda: worker.time(contender.case)


def _starts(comparison: Comparison, sides: Sides) -> dict[Contender, Facts]:
    facts: dict[Contender, Facts] = {}
    with tempfile.TemporaryDirectory() as cache:
        for one in comparison.contenders:
            with sides.fresh(cache) as worker:
                found = worker.prepare(one.case)
            facts[one] = {name: found[name] for name in STARTING}
    return facts


def _check_same_work(first: Contender, facts: Mapping[Contender, Facts]) -> None:
    for other, known in facts.items():
        ours, theirs = facts[first].get("values trained"), known.get("values trained")
        if other.side == "peer" and ours != theirs:
            raise DifferentWorkError(
                f"{first.case.patch!r} trains {ours:,.0f} values here and {theirs:,.0f} in "
                f"{other.label}: this is no comparison; mend the peer."
            )


def _speed(contender: Contender, seconds: float) -> tuple[str, float, str]:
    if contender.case.work == "input":
        return "throughput", contender.case.examples / seconds, "images/s"
    return "time", 1000 * seconds / contender.case.steps, "ms"


def _setting(comparison: Comparison, name: str, settings: Settings) -> str:
    case = comparison.case
    precise = case.precision != "float32" or case.platform != "cpu"
    precision = f"{case.precision}, " if precise else ""
    shape = f"{case.size} px, batch {case.examples}, {precision}{settings.machine}"
    return f"{comparison.work}, {name}, {shape}"


def _row(
    comparison: Comparison, setting: str, figure: tuple[str, float, str], settings: Settings
) -> Measurement:
    metric, value, unit = figure
    number, case = int(value) if unit in COUNTS else value, comparison.case
    return row(case.backbone, setting, metric, number, unit, settings.command, case.patch)
