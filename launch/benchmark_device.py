"""Times exported graphs beside JAX and PyTorch, and measures their memory and files.

    launch/benchmark_device --peer_python=/path/to/python

    launch/benchmark_device --head='ssdlite(maps=3, finest=8)' --sizes=192 --works=graph,swap

measures detectors: the network with the head's predictions, which NumPy makes boxes of afterwards.

Every contender of a comparison takes its turn, each in a process of its own kind, and a row of the
results is a median over rounds, as in `launch/benchmark`; docs/benchmark.md says more. Weights are
made up: speed does not depend on them. Run it on a machine that does nothing else.
"""

import pathlib
import shlex
import sys
from collections.abc import Sequence

from absl import app, flags

from adapters.backbones import registry
from adapters.benchmarking.device.run import WORKS, benchmark
from adapters.benchmarking.measure import Settings
from adapters.errors import UnknownNameError
from adapters.export import converter, quantiser
from adapters.export.onnx.installed import check_installed
from adapters.heads.registry import from_spec
from launch import command

_OUT = flags.DEFINE_string("out", "results/device.csv", "CSV file; rows are replaced by key.")
_RESUME = flags.DEFINE_bool("resume", False, "Keep what --out holds already, and measure the rest.")
_BACKBONES = flags.DEFINE_list("backbones", ["mobilenet_v2_1.0"], "Layer tables to measure.")
_SIZES = flags.DEFINE_list("sizes", ["224"], "Sides of the images, in pixels.")
_HEAD = flags.DEFINE_string(
    "head", "", "Head of the tasks in place of a classifier's, ssdlite, say; without PyTorch."
)
_WORKS = flags.DEFINE_list("works", list(WORKS), f"What to measure, of {', '.join(WORKS)}.")
_THREADS = flags.DEFINE_list("threads", ["1", "2"], "CPU cores that a side may use, in turn.")
_REPETITIONS = flags.DEFINE_integer("repetitions", 15, "Timed runs of each.", lower_bound=1)
_PEER_PYTHON = flags.DEFINE_string(
    "peer_python", sys.executable, "Python that has the extra [bench]: torch and timm."
)


def main(arguments: Sequence[str]) -> None:
    """Parses flags, measures, says where the results are."""
    if len(arguments) > 1:
        raise app.UsageError(f"arguments without a flag: {' '.join(arguments[1:])}")
    for backbone in _BACKBONES.value:
        registry.table(backbone)
    if _HEAD.value:
        from_spec(_HEAD.value)
    for work in _WORKS.value:
        if work not in WORKS:
            raise UnknownNameError("work to measure", work, WORKS)
    sizes, repetitions = _counts(_SIZES), _REPETITIONS.value
    settings = [Settings(threads, repetitions, _command()) for threads in _counts(_THREADS)]
    for check in (converter.check_installed, quantiser.check_installed, check_installed):
        check()
    out = pathlib.Path(_OUT.value)
    for backbone in _BACKBONES.value:
        for size in sizes:
            benchmark(
                backbone,
                size,
                _WORKS.value,
                settings,
                _PEER_PYTHON.value,
                out,
                resume=_RESUME.value,
                head=_HEAD.value,
            )
    print(f"\nThe figures are in {out}.")


def _command() -> str:
    """What to say again elsewhere: not where this machine keeps things, nor what it had already."""
    holders = (_BACKBONES, _SIZES, _WORKS, _THREADS, _REPETITIONS)
    given = [flags.FLAGS[holder.name] for holder in holders]
    texts = [flag.serialize() for flag in given if flag.present]
    return shlex.join(["launch/benchmark_device", *texts])


def _counts(flag: flags.FlagHolder[list[str]]) -> list[int]:
    texts = flag.value
    if not texts or not all(text.isdigit() and int(text) for text in texts):
        raise app.UsageError(f"--{flag.name}={','.join(texts)} must be numbers such as 1,2.")
    return [int(text) for text in texts]


if __name__ == "__main__":
    command.run(main)
