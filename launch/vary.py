"""Tries other values of a run's settings, one setting at a time, and compares them on validation.

    launch/vary --tasks=pocket_decathlon --values=norm=frozen,ema --values=size=64,96 --seeds=3

Every run differs in one setting from the one that the other flags describe, which is among them;
no test split is opened. Stopped or killed, the same command goes on from there; it also adds
values and seeds.
"""

import pathlib
from collections.abc import Sequence

from absl import app, flags

from adapters.experiment import variation
from adapters.experiment.results import RESULTS
from adapters.experiment.settings import default_rate
from adapters.patches.registry import PATCHES
from launch import command, run_flags

flags.adopt_module_key_flags(run_flags)  # so that --help lists them

_VALUES = flags.DEFINE_multi_string(
    "values", [], "A setting and the values to try: norm=frozen,ema, say. May be repeated."
)
_PATCH = flags.DEFINE_string(
    "patch", "scale_bias", f"What each task trains: {', '.join(sorted(PATCHES))}; join with '+'."
)
_PATCH_RATE = flags.DEFINE_float(
    "patch_learning_rate", None, "Peak rate of the patches; by default 1e-2, for `full` 1e-4."
)
_HEAD_RATE = flags.DEFINE_float("head_learning_rate", 3e-3, "Peak rate of the heads.")
_SEEDS = flags.DEFINE_integer("seeds", 1, "Runs of each value, with the seeds 0, 1, ...")
_RESULTS = flags.DEFINE_string(
    "results",
    None,
    "CSV file for the results; results.csv in --out if none.",
)


def main(arguments: Sequence[str]) -> None:
    """Parses flags, runs, prints a table."""
    if len(arguments) > 1:
        raise app.UsageError(f"arguments without a flag: {' '.join(arguments[1:])}")
    if not run_flags.TASKS.value:
        raise app.UsageError("name what to try them on: --tasks=pocket, say.")
    directory = pathlib.Path(run_flags.OUT.value)
    base = run_flags.settings(
        patch=_PATCH.value,
        seed=0,
        patch_rate=default_rate(_PATCH.value) if _PATCH_RATE.value is None else _PATCH_RATE.value,
        head_rate=_HEAD_RATE.value,
    )
    results = pathlib.Path(_RESULTS.value) if _RESULTS.value else directory / RESULTS
    variants = variation.variants(base, _VALUES.value)
    print(variation.vary(run_flags.TASKS.value, base, variants, _SEEDS.value, directory, results))
    print(f"\nEvery measurement is in {results}.")


if __name__ == "__main__":
    command.run(main)
