"""Trains patches jointly and writes one patch file per task.

    launch/train --tasks=pocket

trains scale/bias patches of a pretrained MobileNetV2 on five small data sets, and ends with a table
of accuracies and bytes, plots, and `out/TASK.patch` for each task.
"""

import shlex
import sys
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from adapters.experiment.fitting import fit
from adapters.experiment.settings import DEFAULTS
from launch import cluster_flags, command, run_flags

_PATCH = run_flags.patch_flag()
_PATCH_RATE, _HEAD_RATE = run_flags.rate_flags()
flags.adopt_module_key_flags(run_flags)  # so that --help lists them
flags.adopt_module_key_flags(cluster_flags)

_RESUME = flags.DEFINE_bool(
    "resume",
    False,
    "Go on with the run in --out; begin one if there is none. More --steps, --minutes or "
    "--patience than it was begun with make it longer.",
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Delete the run in --out and start anew.")
_SEED = flags.DEFINE_integer("seed", DEFAULTS["seed"], "The same seed gives the same bytes.")


def main(arguments: Sequence[str]) -> None:
    """Parses flags, runs, prints the table."""
    if len(arguments) > 1:
        raise app.UsageError(f"arguments without a flag: {' '.join(arguments[1:])}")
    if not run_flags.TASKS.value:
        raise app.UsageError("name what to train: --tasks=pocket, say.")
    with cluster_flags.joined() as member:
        fitted = fit(
            run_flags.TASKS.value,
            directory=run_flags.OUT.value,
            resume=_RESUME.value,
            overwrite=_OVERWRITE.value,
            command=shlex.join(["launch/train", *sys.argv[1:]]),
            **values(),
        )
    if member.main:
        print(fitted.summary)
        print(f"\nPatch files, plots and results.csv are in {run_flags.OUT.value.rstrip('/')}/.")


def values() -> dict[str, Any]:
    """The settings that the flags describe, by name."""
    return run_flags.values() | {
        "patch": _PATCH.value,
        "seed": _SEED.value,
        "patch_rate": _PATCH_RATE.value,
        "head_rate": _HEAD_RATE.value,
    }


if __name__ == "__main__":
    command.run(main)
