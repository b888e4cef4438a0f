"""Times modelpatch beside PyTorch, and writes the figures and a picture of them.

    launch/benchmark --peer_python=/path/to/python

Each side has a process of its own; they take turns, so that they never run at once, and a row of
the results is a median over rounds. The peer is timm's network in PyTorch, eager and
compiled, channels last, norms in evaluation mode, training the same values. Where PyTorch is
missing, our own side is measured alone. Run it on a machine that does nothing else.
"""

import pathlib
import shlex
import sys
from collections.abc import Sequence
from typing import get_args

from absl import app, flags

from adapters.backbones import registry
from adapters.benchmarking import run
from adapters.benchmarking.cases import Platform, Precision
from adapters.benchmarking.measure import Settings
from adapters.benchmarking.plan import WORKS, comparisons
from adapters.errors import UnknownNameError
from adapters.patches.registry import from_spec
from adapters.spec import whole
from launch import command

ON_DEMAND = ("blocks", "routes", "widths", "synthesis", "rules", "processes", "native_training")
"""Works that are measured where they are asked for alone."""

_OUT = flags.DEFINE_string("out", "results/performance.csv", "CSV file; rows are replaced by key.")
_PICTURE = flags.DEFINE_string("picture", "docs/images/performance.png", "Picture of that file.")
_RESUME = flags.DEFINE_bool("resume", False, "Keep what --out holds already, and measure the rest.")
_BACKBONES = flags.DEFINE_list("backbones", ["mobilenet_v2_1.0"], "Layer tables to measure.")
_WORKS = flags.DEFINE_list(
    "works",
    [work for work in WORKS if work not in ON_DEMAND],
    f"What to measure, of {', '.join(WORKS)}. `blocks` finds what is slow; `routes` and `widths` "
    "time what launch/search may leave of each block, for its --cost=measured; `synthesis` is for "
    "patches that look first; `rules` is of training shared weights by each rule, `processes` of "
    "two processes against one, `native_training` of --native_gradients, on CPUs.",
)
_SIZES = flags.DEFINE_list("sizes", ["64", "128", "224"], "Sides of the images, in pixels.")
_PATCHES = flags.DEFINE_list(
    "patches",
    ["head_only", "bias", "scale_bias", "scale_bias+depthwise", "full"],
    "Patches whose training step and mixed batches are timed.",
)
_BATCHES = flags.DEFINE_list("batches", ["32"], "Images in a batch.")
_REPETITIONS = flags.DEFINE_integer("repetitions", 15, "Timed runs of each.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 2, "CPU cores that a side may use.", lower_bound=1)
_PLATFORM = flags.DEFINE_enum("platform", "cpu", ["cpu", "gpu"], "What does the work.")
_PRECISIONS = flags.DEFINE_list(
    "precisions",
    ["float32"],
    "Precisions in turn: float32, on GPUs tf32 (JAX rounds so by itself where a GPU can), and in "
    "training and mixed batches bfloat16.",
)
_PEER_PYTHON = flags.DEFINE_string(
    "peer_python", sys.executable, "Python that has the extra [bench]: torch and timm."
)


def main(arguments: Sequence[str]) -> None:
    """Parses flags, measures, says where the results are."""
    if len(arguments) > 1:
        raise app.UsageError(f"arguments without a flag: {' '.join(arguments[1:])}")
    sizes, batches = _counts(_SIZES), _counts(_BATCHES)
    for backbone in _BACKBONES.value:
        registry.table(backbone)
    for work in _WORKS.value:
        if work not in WORKS:
            raise UnknownNameError("work to measure", work, WORKS)
    patches = whole(_PATCHES.value)
    for patch in patches:
        from_spec(patch)
    platform: Platform = "gpu" if _PLATFORM.value == "gpu" else "cpu"
    settings = Settings(
        threads=_THREADS.value,
        repetitions=_REPETITIONS.value,
        command=_command(),
        platform=platform,
    )
    plan = comparisons(
        *(_BACKBONES.value, sizes, batches, patches, _WORKS.value),
        *(_precisions(), platform),
    )
    out, picture = pathlib.Path(_OUT.value), pathlib.Path(_PICTURE.value)
    run.run(plan, settings, _PEER_PYTHON.value, out, picture, resume=_RESUME.value)
    print(f"\nThe figures are in {out}, the picture is {picture}.")


def _command() -> str:
    """What to say again elsewhere: not where this machine keeps things, nor what it had already."""
    sides = (_BACKBONES, _WORKS, _SIZES, _BATCHES, _PATCHES)
    how = (_REPETITIONS, _THREADS, _PLATFORM, _PRECISIONS)
    given = [flags.FLAGS[holder.name] for holder in (*sides, *how)]
    return shlex.join(["launch/benchmark", *(flag.serialize() for flag in given if flag.present)])


def _precisions() -> list[Precision]:
    chosen, known = _PRECISIONS.value, get_args(Precision)
    for precision in chosen:
        if precision not in known:
            raise UnknownNameError("precision", precision, known)
    if _PLATFORM.value == "cpu" and "tf32" in chosen:
        raise app.UsageError("--precisions=tf32 is for --platform=gpu: processors have none.")
    return [precision for precision in known if precision in chosen]


def _counts(flag: flags.FlagHolder[list[str]]) -> list[int]:
    texts = flag.value
    if not texts or not all(text.isdigit() and int(text) for text in texts):
        raise app.UsageError(f"--{flag.name}={','.join(texts)} must be numbers such as 64,128.")
    return [int(text) for text in texts]


if __name__ == "__main__":
    command.run(main)
