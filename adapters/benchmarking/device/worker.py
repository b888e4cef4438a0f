"""The side of devices: exported graphs, in a process that has no JAX."""

import atexit
import importlib
import pathlib
from typing import Any

import numpy as np

from adapters.benchmarking import worker
from adapters.benchmarking.cases import Case
from adapters.benchmarking.device.engines import ENGINES, threads
from adapters.benchmarking.worker import Prepared
from adapters.runtime.notices import end_without_notices

PAGE = 4096


def prepare(case: Case) -> Prepared:
    """Opens the files of a case.

    - `graph`: answers of one task.
    - `warm swap`: the answer of the next of `case.tasks` tasks, all of them installed.
    - `cold swap`: a task taken from its files in place of another one, up to its first answer.
    - `memory`: an answer of each of `case.tasks` tasks. Its facts are the resident memory then, and
      how much of that came after what the graph's runtime needs was imported.
    """
    runtime = "onnxruntime" if case.graph.startswith("ONNX") else "ai_edge_litert.compiled_model"
    importlib.import_module(runtime)
    before = _resident()
    holder = ENGINES[case.graph](pathlib.Path(case.folder))
    for number in range(case.tasks):
        holder.add(number)
    images = np.random.default_rng(0).random((case.examples, case.size, case.size, 3), np.float32)
    turn = 0

    def answer() -> Any:
        nonlocal turn
        turn += 1
        return holder.run(turn % case.tasks, images)

    def swap() -> Any:
        nonlocal turn
        turn += 1
        holder.add(turn % 2)
        return holder.run(turn % 2, images)

    def every() -> None:
        for _ in range(case.tasks):
            answer()

    def facts() -> dict[str, float]:
        return {
            "resident memory": float(_resident()),
            "memory beside imports": float(_resident() - before),
        }

    if case.work == "memory":
        return Prepared(every, facts)
    return Prepared(swap if case.work == "cold swap" else answer)


def _resident() -> int:
    """Bytes of this process in memory."""
    return PAGE * int(pathlib.Path("/proc/self/statm").read_text().split()[1])


def main() -> None:
    """Serves this side."""
    atexit.register(end_without_notices)
    worker.serve(f"{threads()} threads", prepare)


if __name__ == "__main__":
    main()
