"""Trains patches jointly and writes one patch file per task.

    launch/train --tasks=pocket

trains scale/bias patches of a pretrained MobileNetV2 on five small data sets, and ends with a table
of accuracies and bytes, plots, and `out/TASK.patch` for each task.
"""

import pathlib
import shlex
import sys
from collections.abc import Sequence

from absl import app, flags

from adapters.experiment import results, training_run
from adapters.experiment.settings import Settings, default_rate
from adapters.patches.registry import PATCHES
from launch import command, run_flags
from tasks import registry

flags.adopt_module_key_flags(run_flags)  # so that --help lists them

_RESUME = flags.DEFINE_bool("resume", False, "Go on with the run in --out.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Delete the run in --out and start anew.")
_PATCH = flags.DEFINE_string(
    "patch", "scale_bias", f"What each task trains: {', '.join(sorted(PATCHES))}; join with '+'."
)
_PATCH_RATE = flags.DEFINE_float(
    "patch_learning_rate", None, "Peak rate of the patches; by default 1e-2, for `full` 1e-4."
)
_HEAD_RATE = flags.DEFINE_float("head_learning_rate", 3e-3, "Peak rate of the heads.")
_SEED = flags.DEFINE_integer("seed", 0, "The same seed gives the same bytes.")


def main(arguments: Sequence[str]) -> None:
    """Parses flags, runs, prints the table."""
    if len(arguments) > 1:
        raise app.UsageError(f"arguments without a flag: {' '.join(arguments[1:])}")
    if not run_flags.TASKS.value:
        raise app.UsageError("name what to train: --tasks=pocket, say.")
    directory = pathlib.Path(run_flags.OUT.value)
    rows = training_run.run(
        registry.resolve(run_flags.TASKS.value),
        settings(),
        directory,
        shlex.join(["launch/train", *sys.argv[1:]]),
        resume=_RESUME.value,
        overwrite=_OVERWRITE.value,
    )
    print(results.summary(rows))
    print(f"\nPatch files, plots and results.csv are in {directory}/.")


def settings() -> Settings:
    """The run that the flags describe."""
    return run_flags.settings(
        patch=_PATCH.value,
        seed=_SEED.value,
        patch_rate=default_rate(_PATCH.value) if _PATCH_RATE.value is None else _PATCH_RATE.value,
        head_rate=_HEAD_RATE.value,
    )


if __name__ == "__main__":
    command.run(main)
