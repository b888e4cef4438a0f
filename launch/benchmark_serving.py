"""Puts the HTTP server under load, beside servers that do not mix tasks in a batch.

    launch/train --tasks=pocket_decathlon --steps=20 --out=out/load
    launch/benchmark_serving out/load/*.patch --load_python=/path/to/python

The load generator is Locust, in a Python of its own; it asks for images of the tasks' test splits
and checks every answer. Then a server gets malformed requests among good ones, and is told to end.
At last one good client asks while a thousand slow ones and senders of the worst images do, too.
docs/serving.md says more. Run it on a machine that does nothing else.
"""

import pathlib
import shlex
import sys
from collections.abc import Sequence

from absl import app, flags

from adapters.benchmarking.serving.load import Generator
from adapters.benchmarking.serving.run import WORKS, benchmark
from adapters.errors import UnknownNameError
from launch import command, shared_flags, task_flags

_OUT = flags.DEFINE_string("out", "results/serving.csv", "CSV file; rows are replaced by key.")
_PICTURE = flags.DEFINE_string("picture", "docs/images/serving.png", "PNG drawn from --out.")
_RESUME = flags.DEFINE_bool("resume", False, "Keep what --out holds already, and measure the rest.")
_WEIGHTS = shared_flags.weights()
_TASKS = task_flags.define(
    "Tasks whose images are sent, if the patches' own names do not find them."
)
_DATA_DIR = shared_flags.data_dir()
_WORKS = flags.DEFINE_list("works", list(WORKS), f"What to measure, of {', '.join(WORKS)}.")
_CLIENTS = flags.DEFINE_list("clients", ["32"], "Clients that ask at once, in turn.")
_REQUESTS = flags.DEFINE_integer(
    "requests", 10_000, "Requests with malformed ones among them.", lower_bound=100
)
_REPETITIONS = flags.DEFINE_integer("repetitions", 7, "Turns of each server.", lower_bound=1)
_SECONDS = flags.DEFINE_integer("seconds", 6, "Of a turn that count.", lower_bound=1)
_LOAD_PYTHON = flags.DEFINE_string(
    "load_python", sys.executable, "Python that has Locust (requirements/load.lock)."
)


def main(arguments: Sequence[str]) -> None:
    """Parses flags, measures, says where the results are."""
    paths = arguments[1:]
    if not paths:
        raise app.UsageError("give patch files: launch/benchmark_serving out/*.patch")
    for work in _WORKS.value:
        if work not in WORKS:
            raise UnknownNameError("work to measure", work, WORKS)
    clients = _CLIENTS.value
    if not clients or not all(text.isdecimal() and int(text) for text in clients):
        raise app.UsageError(f"--clients={','.join(clients)} must be numbers such as 8,32.")
    out = pathlib.Path(_OUT.value)
    benchmark(
        paths,
        _WEIGHTS.value,
        _TASKS.value,
        _WORKS.value,
        [int(text) for text in clients],
        _REQUESTS.value,
        _REPETITIONS.value,
        _SECONDS.value,
        Generator(_LOAD_PYTHON.value),
        out,
        pathlib.Path(_PICTURE.value),
        _command(),
        resume=_RESUME.value,
        data_dir=_DATA_DIR.value,
    )
    print(f"\nThe figures are in {out}.")


def _command() -> str:
    """What to say again elsewhere: not where this machine keeps things, nor what it had already."""
    holders = (_WORKS, _CLIENTS, _REQUESTS, _REPETITIONS, _SECONDS)
    given = [flags.FLAGS[holder.name] for holder in holders]
    texts = [flag.serialize() for flag in given if flag.present]
    return " ".join(["launch/benchmark_serving out/*.patch", shlex.join(texts)]).rstrip()


if __name__ == "__main__":
    command.run(main)
