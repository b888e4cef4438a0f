"""A training step by processes of their own: as many as train a run together, or one.

Each has one device of the CPU, and does a step whenever a line comes; whoever asks waits for all.
"""

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Sequence

import jax

from adapters.benchmarking import ours_training
from adapters.benchmarking.cases import Case
from adapters.benchmarking.worker import Prepared, own_output
from adapters.compiled_programs import keep_compiled_programs
from adapters.errors import ModelPatchError
from adapters.training.cluster import cluster

Process = subprocess.Popen[str]


class ProcessEndedError(ModelPatchError):
    """One of the processes is gone."""


def together(case: Case) -> Prepared:
    """Starts the processes of a case; they end with what is returned."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [_started(case, port, index) for index in range(case.processes)]
    _heard(processes)

    def run() -> None:
        for process in processes:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # what is not heard is said below
                process.stdin.write("\n")
                process.stdin.flush()
        _heard(processes)

    weakref.finalize(run, _end, processes)
    return Prepared(run)


def _started(case: Case, port: int, index: int) -> Process:
    told = json.dumps([dataclasses.asdict(case), port, index])
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, told],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _heard(processes: Sequence[Process]) -> None:
    """Waits for a line of each."""
    for process in processes:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise ProcessEndedError("a process of the benchmark has ended: see what it said above.")


def _end(processes: Sequence[Process]) -> None:
    for process in processes:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
    for process in processes:
        process.wait()


def main(told: str) -> None:
    """Does a step for every line until there are no more."""
    known, port, index = json.loads(told)
    case, answers = Case(**known), own_output()  # Gloo says on standard output whom it has found
    keep_compiled_programs()
    with cluster(f"127.0.0.1:{port}", case.processes, index):
        step = ours_training.prepare(case, jax.devices())
        state = step.state
        print(file=answers, flush=True)
        for _ in sys.stdin:
            state, metrics = step.trainer.step(state, step.weights, step.batch, step.key)
            jax.block_until_ready((state, metrics))
            print(file=answers, flush=True)
        os._exit(0)  # the others may be gone: nobody is waited for


if __name__ == "__main__":
    main(sys.argv[1])
