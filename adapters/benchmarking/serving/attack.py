"""A good client's latency while others do their worst, beside when nobody else is there."""

import collections
import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence

from adapters.benchmarking.interleave import ROOT
from adapters.benchmarking.serving.load import Generator, Report, WrongAnswerError
from adapters.benchmarking.serving.measure import Settings
from adapters.benchmarking.serving.questions import Question
from adapters.benchmarking.serving.server import FAILED, Server
from adapters.errors import ModelPatchError
from adapters.training.tidy import Measurement

WORK = "attack"
SLOW = 1_000  # connections that stay silent, or send a head or a body drop by drop
SENDERS = 8  # clients that post the worst images that the limits let through
NAME = f"{SLOW} slow clients and {SENDERS} senders"


class AttackersError(ModelPatchError):
    """Those who attack the server ended before they were told to."""


@contextlib.contextmanager
def attacked(
    port: int, path: str, slow: int = SLOW, senders: int = SENDERS
) -> Iterator[dict[str, int]]:
    """Within the block, slow clients and senders of images ask a server of this machine.

    Args:
      port: of the server.
      path: of requests with images, /tasks/NAME.
      slow: connections that say nothing or little.
      senders: of images.

    Gives counts of what came of them, which are there after the block. Raises AttackersError.
    """
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    module = "adapters.benchmarking.serving.attackers"
    counts: dict[str, int] = {}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", module, str(port), path, str(slow), str(senders)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": search},
    ) as process:
        assert process.stdout is not None
        try:
            if not process.stdout.readline():
                raise AttackersError("those who attack the server do not start.")
            yield counts
            said, _ = process.communicate()
            if not said:
                raise AttackersError("those who attack the server ended too early.")
            counts |= json.loads(said)
        finally:
            process.kill()


def compare(
    server: Server, generator: Generator, good: Sequence[Question], settings: Settings
) -> list[Measurement]:
    """Rows of one good client that asks again and again, alone and beside attackers, in turn.

    The good client has an address of its own, since limits are those of an address.

    Raises WrongAnswerError if one of its questions is not answered rightly, AttackersError.
    """
    alone: list[Report] = []
    beside: list[Report] = []
    counts: collections.Counter[str] = collections.Counter()
    for turn in range(settings.repetitions):
        alone.append(generator.for_seconds(server.host, good, 1, settings.seconds, turn))
        with attacked(server.port, good[0].path) as found:
            beside.append(generator.for_seconds(server.host, good, 1, settings.seconds, turn))
        counts.update(found)
    if FAILED in server.log():
        raise WrongAnswerError(f"the server logs a failure: {server.log()[-2000:]}")
    ratios = [one.p99 / other.p99 for one, other in zip(beside, alone, strict=True)]
    figures: list[tuple[str, float, str]] = [
        ("p50 alone", statistics.median(one.p50 for one in alone), "ms"),
        ("p50", statistics.median(one.p50 for one in beside), "ms"),
        ("p99 alone", statistics.median(one.p99 for one in alone), "ms"),
        ("p99", statistics.median(one.p99 for one in beside), "ms"),
        ("p99 beside alone", statistics.median(ratios), "times"),
        ("answers checked", sum(one.asked for one in (*alone, *beside)), "answers"),
        ("wrong answers", 0, "answers"),  # any would have been raised
        *((f"of attackers: {what}", count, "times") for what, count in sorted(counts.items())),
    ]
    setting = settings.setting(WORK, NAME, 1)
    return [settings.row(setting, *figure) for figure in figures]
