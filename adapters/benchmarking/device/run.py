"""A whole benchmark of exported graphs: files, then comparisons, whose rows stay as they come."""

import contextlib
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator, Sequence

from adapters.benchmarking import run
from adapters.benchmarking.device import footprint, kinds, make, plan
from adapters.benchmarking.interleave import Worker
from adapters.benchmarking.measure import Settings, Sides
from adapters.benchmarking.plan import Comparison

OURS = "adapters.benchmarking.device.worker"
THREE_KINDS = "three_kinds"
WORKS = ("graph", "swap", "memory", "size", THREE_KINDS)


def benchmark(
    backbone: str,
    size: int,
    works: Sequence[str],
    settings: Sequence[Settings],
    peer_python: str,
    out: pathlib.Path,
    *,
    resume: bool,
    head: str = "",
    jax: str = run.OURS,
) -> None:
    """Measures one network at one size into the CSV file `out`.

    Args:
      backbone: a layer table.
      size: of images, in pixels.
      works: of `WORKS`.
      settings: one for each number of threads; memory is measured with the first.
      peer_python: the interpreter for PyTorch; without it, it is left out.
      out: rows there that measured the same are replaced.
      resume: leave out comparisons whose rows `out` has.
      head: of the tasks, in place of a classifier's; PyTorch is left out then.
      jax: module of the side that runs the network in JAX.

    Raises ThreadsError or WorkerError.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        if {*works} != {THREE_KINDS}:
            make.write_files(backbone, size, place, head)
        for each in settings:
            timed: list[Comparison] = []
            if "graph" in works:
                timed += plan.graphs(backbone, size, make.BATCHES, folder, head)
            if "swap" in works:
                timed += plan.swaps(backbone, size, folder, head)
            if timed:
                with _cores(each.threads), _sides(each, peer_python, jax) as sides:
                    run.measure_all(timed, sides, each, out, resume=resume)
        first = settings[0]
        if "memory" in works:
            for comparison in plan.memories(backbone, size, make.TASKS, folder, head):
                _keep_memory(comparison, first, out, resume)
        if "size" in works:
            run.keep(footprint.sizes(backbone, size, footprint.files(place), first, head), out)
        if THREE_KINDS in works:
            comparison = plan.kinds(kinds.named(backbone), size, folder)
            if not (resume and footprint.keys(comparison, first) <= run.known(out)):
                kinds.write_files(backbone, size, place)
                _keep_memory(comparison, first, out, resume)
                run.keep(
                    footprint.sizes(kinds.named(backbone), size, kinds.files(place), first), out
                )


def _keep_memory(
    comparison: Comparison, settings: Settings, out: pathlib.Path, resume: bool
) -> None:
    if resume and footprint.keys(comparison, settings) <= run.known(out):
        return
    with _cores(settings.threads):
        run.keep(footprint.memory(comparison, settings, OURS), out)


@contextlib.contextmanager
def _cores(count: int) -> Iterator[None]:
    """So many cores for this process and all that it starts, and then those that it had."""
    before = os.sched_getaffinity(0)
    run.limit_cores(count)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _sides(settings: Settings, peer_python: str, jax: str) -> Iterator[Sides]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        variables = run.environment(settings, folder)

        def fresh(_: str) -> Worker:
            return Worker(sys.executable, OURS, variables)

        own = stack.enter_context(fresh(folder))
        network = stack.enter_context(Worker(sys.executable, jax, variables))
        yield Sides(own, run.peer(stack, peer_python, variables), fresh, network)
