"""A whole benchmark: starts both sides, measures, keeps each comparison's rows as they come."""

import contextlib
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterable, Iterator

from absl import logging

from adapters.errors import ModelPatchError
from adapters.training import tidy
from launch.benchmarking import measure, picture
from launch.benchmarking.interleave import MissingPeerError, Worker
from launch.benchmarking.measure import Settings, Sides
from launch.benchmarking.plan import Comparison

OURS, PEER = "launch.benchmarking.ours", "launch.benchmarking.torch_worker"


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
        for comparison in plan:
            rows = tidy.read(out) if out.exists() else []
            known = {(row.backbone, row.patch, row.setting) for row in rows}
            if resume and measure.keys(comparison, sides, settings) <= known:
                continue
            rows = measure.measure(comparison, sides, settings)
            tidy.update(out, rows)
            for row in rows:
                print(_line(row), flush=True)
    picture.draw(tidy.read(out), drawing)


def limit_cores(threads: int) -> None:
    """Keeps this process and all that it starts to `threads` cores.

    Raises ThreadsError.
    """
    cores = sorted(os.sched_getaffinity(0))
    if threads > len(cores):
        raise ThreadsError(f"--threads={threads}, but only {len(cores)} cores may be used here.")
    os.sched_setaffinity(0, cores[:threads])


@contextlib.contextmanager
def _sides(settings: Settings, peer_python: str, ours: str) -> Iterator[Sides]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        # Fresh caches for both sides, so that what is compiled here is compiled by nobody before.
        environment = {
            "JAX_PLATFORMS": "cpu",
            "MODELPATCH_CACHE": f"{folder}/modelpatch",
            "OMP_NUM_THREADS": str(settings.threads),
            "TMPDIR": folder,
            "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
        }

        def fresh(cache: str) -> Worker:
            return Worker(sys.executable, ours, environment | {"MODELPATCH_CACHE": cache})

        own = stack.enter_context(Worker(sys.executable, ours, environment))
        try:
            peer = stack.enter_context(Worker(peer_python, PEER, environment))
        except MissingPeerError as error:
            logging.warning(
                "%s Only our own side is measured. `pip install '.[bench]'` in some environment, "
                "and name its Python with --peer_python.",
                error,
            )
            peer = None
        yield Sides(own, peer, fresh)


def _line(row: tidy.Measurement) -> str:
    return f"{row.patch:<22}{row.setting:<86}{row.metric:<24}{row.value:>14,} {row.unit}"
