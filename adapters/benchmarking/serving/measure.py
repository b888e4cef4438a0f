"""Servers under the same load in turn, and what their figures are."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence

from adapters.benchmarking.interleave import interleaved, throughput_ratio
from adapters.benchmarking.row import row
from adapters.benchmarking.serving.load import Generator, Report
from adapters.benchmarking.serving.questions import Question
from adapters.benchmarking.serving.server import Server
from adapters.training.tidy import Measurement

PASSES, IMAGES = "modelpatch_batch_images_count", "modelpatch_batch_images_sum"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all rows of a run share.

    Attributes:
      backbone, patch: names.
      size: of images, in pixels.
      tasks: how many.
      threads: cores that a server, and the load generator beside it, may use.
      repetitions: turns of each server.
      seconds: of a turn that count.
      command: what was called.
    """

    backbone: str
    patch: str
    size: int
    tasks: int
    threads: int
    repetitions: int
    seconds: int
    command: str

    def setting(self, work: str, name: str, clients: int) -> str:
        """What a row calls a server under the load of so many clients."""
        shape = f"{self.size} px, {self.tasks} tasks, {clients} clients, {self.threads} threads"
        return ", ".join(filter(None, [work, name, shape]))

    def row(self, setting: str, metric: str, value: float, unit: str) -> Measurement:
        """A row of results."""
        return row(self.backbone, setting, metric, value, unit, self.command, self.patch)


def compare(
    servers: Mapping[str, Server],
    generator: Generator,
    asked: Sequence[Question],
    clients: int,
    settings: Settings,
) -> list[Measurement]:
    """Rows of each server, and how many times as many requests the first one answers in a second.

    Every server takes its turn a round; while one does, the others wait.

    Raises WrongAnswerError if an answer of any of them is wrong.
    """
    reports: dict[str, list[Report]] = {name: [] for name in servers}

    def turn(name: str) -> Callable[[], float]:
        def take() -> float:
            round_number = len(reports[name])
            report = generator.for_seconds(
                servers[name].host, asked, clients, settings.seconds, round_number
            )
            reports[name].append(report)
            return 1 / report.per_second

        return take

    before = {name: server.figures() for name, server in servers.items()}
    turns = interleaved([turn(name) for name in servers], settings.repetitions)
    seconds = dict(zip(servers, turns, strict=True))
    rows = []
    for name, server in servers.items():
        after, own = server.figures(), reports[name]
        images, passes = (after[key] - before[name].get(key, 0.0) for key in (IMAGES, PASSES))
        figures: list[tuple[str, float, str]] = [
            ("throughput", statistics.median(one.per_second for one in own), "requests/s"),
            ("p50", statistics.median(one.p50 for one in own), "ms"),
            ("p99", statistics.median(one.p99 for one in own), "ms"),
            ("images in a pass", images / passes, "images"),
            ("resident memory", server.resident(), "bytes"),
            ("answers checked", sum(one.asked for one in own), "answers"),
            ("wrong answers", 0, "answers"),  # any would have been raised
        ]
        setting = settings.setting("serving", name, clients)
        rows += [settings.row(setting, *figure) for figure in figures]
    first, *others = servers
    for other in others:
        ratio = throughput_ratio(seconds[first], seconds[other])
        setting = settings.setting("serving", f"peer {other}", clients)
        rows.append(settings.row(setting, "ratio", ratio, "times"))
    return rows
