"""A whole benchmark: starts both sides, measures, keeps each comparison's rows as they come."""

import contextlib
import dataclasses
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence

from absl import logging

from adapters.benchmarking import measure, picture
from adapters.benchmarking.cases import Platform
from adapters.benchmarking.interleave import MissingPeerError, Worker
from adapters.benchmarking.measure import Settings, Sides
from adapters.benchmarking.plan import Comparison
from adapters.errors import ModelPatchError
from adapters.training import tidy

JAX_PLATFORMS: Mapping[Platform, str] = {"cpu": "cpu", "gpu": "cuda"}
OURS, PEER = "adapters.benchmarking.ours", "adapters.benchmarking.torch_worker"


class ThreadsError(ModelPatchError):
    """More threads than this process may use cores."""


def run(
    plan: Iterable[Comparison],
    settings: Settings,
    peer_python: str,
    out: pathlib.Path,
    drawing: pathlib.Path,
    *,
    resume: bool,
    ours: str = OURS,
) -> None:
    """Measures every comparison of `plan` into the CSV file `out`, and draws that file.

    Args:
      plan: what to measure.
      settings: how.
      peer_python: the interpreter for the peer; without PyTorch in it, our side runs alone.
      out: rows there that measured the same are replaced.
      drawing: a PNG.
      resume: leave out comparisons whose rows `out` has.
      ours: module of our side.

    Raises:
      ThreadsError: there are fewer cores than threads.
      WorkerError: our side failed; `out` has all that was measured before.
    """
    limit_cores(settings.threads)
    with _sides(settings, peer_python, ours) as sides:
        if settings.platform == "gpu":
            settings = dataclasses.replace(settings, processor=sides.ours.device)
        measure_all(plan, sides, settings, out, resume=resume)
    picture.draw(tidy.read(out), drawing)


def measure_all(
    plan: Iterable[Comparison], sides: Sides, settings: Settings, out: pathlib.Path, *, resume: bool
) -> None:
    """Measures comparisons and keeps the rows of each as it ends; arguments are those of `run`."""
    for comparison in plan:
        if resume and measure.keys(comparison, sides, settings) <= known(out):
            continue
        keep(measure.measure(comparison, sides, settings), out)


def known(out: pathlib.Path) -> set[tuple[str, str, str]]:
    """The (backbone, patch, setting) that the CSV file `out` has rows of."""
    rows = tidy.read(out) if out.exists() else []
    return {(row.backbone, row.patch, row.setting) for row in rows}


def keep(rows: Sequence[tidy.Measurement], out: pathlib.Path) -> None:
    """Puts rows into the CSV file `out`, in place of those of the same, and prints them."""
    tidy.update(out, rows)
    for row in rows:
        print(_line(row), flush=True)


def limit_cores(threads: int) -> None:
    """Keeps this process and all that it starts to `threads` cores.

    Raises ThreadsError.
    """
    cores = sorted(os.sched_getaffinity(0))
    if threads > len(cores):
        raise ThreadsError(
            f"{threads} threads are wanted, but only {len(cores)} cores may be used here.",
            settings=["threads"],
        )
    os.sched_setaffinity(0, cores[:threads])


@contextlib.contextmanager
def _sides(settings: Settings, peer_python: str, ours: str) -> Iterator[Sides]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        variables = environment(settings, folder)

        def fresh(cache: str) -> Worker:
            return Worker(sys.executable, ours, variables | {"MODELPATCH_CACHE": cache})

        own = stack.enter_context(Worker(sys.executable, ours, variables))
        yield Sides(own, peer(stack, peer_python, variables), fresh)


def environment(settings: Settings, folder: str) -> dict[str, str]:
    """Variables of a side: caches in `folder`, so that all it compiles is compiled for it alone."""
    return {
        "JAX_PLATFORMS": JAX_PLATFORMS[settings.platform],
        "MODELPATCH_CACHE": f"{folder}/modelpatch",
        "OMP_NUM_THREADS": str(settings.threads),
        "TMPDIR": folder,
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
    }


def peer(stack: contextlib.ExitStack, python: str, variables: Mapping[str, str]) -> Worker | None:
    """PyTorch's side, which ends with `stack`; None where that Python has no PyTorch."""
    try:
        return stack.enter_context(Worker(python, PEER, variables))
    except MissingPeerError as error:
        logging.warning(
            "%s Only our own side is measured. `pip install '.[bench]'` in some environment, "
            "and name its Python (the setting peer_python).",
            error,
        )
        return None


def _line(row: tidy.Measurement) -> str:
    return f"{row.patch:<22}{row.setting:<86}{row.metric:<24}{row.value:>14,} {row.unit}"
