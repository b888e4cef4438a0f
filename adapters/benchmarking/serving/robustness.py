"""Thousands of requests with malformed ones among them: all refused in words, nothing kept."""

import contextlib
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from adapters.benchmarking.serving.drain import drained
from adapters.benchmarking.serving.images import Alone, encoded
from adapters.benchmarking.serving.load import Generator, WrongAnswerError
from adapters.benchmarking.serving.malformed import in_a_form, malformed
from adapters.benchmarking.serving.measure import Settings
from adapters.benchmarking.serving.questions import Question
from adapters.benchmarking.serving.server import FAILED, Server, ServerError
from adapters.errors import ModelPatchError
from adapters.training.tidy import Measurement

WORK = "robustness"
SHARE = 0.3  # of requests, that are malformed
MISLABELLED = 0.05  # of requests, that are good images called something else
FORMS = 0.05  # of requests, that are good images in a form
PHOTOGRAPHS = 0.005  # of requests, that are good images of `PHOTOGRAPH` pixels
PHOTOGRAPH = (3000, 4000)
WARM_UP = 0.2  # as many requests before the first look at memory, as a part of those that count
GROWTH = 100_000_000  # bytes that memory may differ by
LOOKS = 2.0  # a second, at memory
DRAINED = 16  # requests that a server has begun when it is told to end


class LeakError(ModelPatchError):
    """A server's memory grows with its requests."""


def mixed(good: Sequence[Question], alone: Alone, count: int, seed: int) -> list[Question]:
    """`count` requests: good images, some in disguise, and malformed ones, in an order by chance.

    Args:
      good: questions of tasks' images.
      alone: what answers them.
      count: how many.
      seed: of the order.
    """
    chance = random.Random(seed)
    photographs = [*_photographs(good, alone)]
    found = []
    for _ in range(count):
        question, draw = chance.choice(good), chance.random()
        if draw < SHARE:
            question = malformed(question, chance)
        elif draw < SHARE + MISLABELLED:
            kind = chance.choice(["text/plain", "application/json", "image/tiff", "nonsense"])
            question = replace(question, kind="mislabelled", headers={"Content-Type": kind})
        elif draw < SHARE + MISLABELLED + FORMS:
            question = replace(in_a_form(question), kind="form")
        elif draw < SHARE + MISLABELLED + FORMS + PHOTOGRAPHS:
            question = chance.choice(photographs)
        found.append(question)
    return found


def survive(
    server: Server,
    generator: Generator,
    good: Sequence[Question],
    alone: Alone,
    requests: int,
    clients: int,
    settings: Settings,
) -> list[Measurement]:
    """Rows of a server that is asked `mixed` requests, and told to end at last.

    Raises WrongAnswerError, LeakError, or ServerError.
    """
    generator.once(server.host, mixed(good, alone, int(WARM_UP * requests), 1), clients)
    before = server.resident()
    asked = mixed(good, alone, requests, 2)
    with _watched(server) as seen:
        report = generator.once(server.host, asked, clients)
    growth = server.resident() - before
    if growth > GROWTH:
        raise LeakError(f"the server's memory grew by {growth:,} bytes over {requests:,} requests.")
    refused = sum(question.answer is None for question in asked)
    drained_requests = drained(server, good[:DRAINED])
    if FAILED in server.log():
        raise WrongAnswerError(f"the server logs a failure: {server.log()[-2000:]}")
    setting = settings.setting(WORK, f"{requests} requests", clients)
    figures: list[tuple[str, float, str]] = [
        ("requests", report.asked, "requests"),
        ("malformed", refused, "requests"),
        ("wrong answers", 0, "answers"),  # any would have been raised
        ("resident memory", before, "bytes"),
        ("highest resident memory", max(seen), "bytes"),
        ("growth of resident memory", growth, "bytes"),
        ("answered after SIGTERM", drained_requests, "requests"),
    ]
    return [settings.row(setting, *figure) for figure in figures]


def _photographs(good: Sequence[Question], alone: Alone) -> Iterator[Question]:
    """A large noisy image for each task, as a file of megabytes."""
    generator = np.random.default_rng(0)
    for task in dict.fromkeys(q.answer.task for q in good if q.answer is not None):
        for _ in range(20):
            small = generator.integers(0, 256, (60, 80, 3), np.uint8)
            pixels = small.repeat(PHOTOGRAPH[0] // 60, 0).repeat(PHOTOGRAPH[1] // 80, 1)
            body = encoded(pixels, format="JPEG", quality=90)
            question = alone.question(task, body, "photograph")
            if question is not None:
                yield question
                break


@contextlib.contextmanager
def _watched(server: Server) -> Iterator[list[int]]:
    """Bytes of the server in memory, looked at from time to time."""
    seen, ended = [server.resident()], threading.Event()

    def look() -> None:
        with contextlib.suppress(ServerError):  # it has ended, as who asks it will say
            while not ended.wait(1 / LOOKS):
                seen.append(server.resident())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
