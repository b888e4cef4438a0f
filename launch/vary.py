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
from adapters.experiment.run_files import RESULTS
from adapters.experiment.settings import settings_of
from launch import command, run_flags
from launch.flag_names import FLAGS
from launch.train_command import train_command

_PATCH = run_flags.patch_flag()
_PATCH_RATE, _HEAD_RATE = run_flags.rate_flags()
flags.adopt_module_key_flags(run_flags)  # so that --help lists them

_VALUES = flags.DEFINE_multi_string(
    "values", [], "A setting and the values to try: norm=frozen,ema, say. May be repeated."
)
_APART = flags.DEFINE_bool(
    "apart", False, "Train each task in a run of its own: what it reaches alone."
)
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
    base = settings_of(
        patch=_PATCH.value,
        patch_rate=_PATCH_RATE.value,
        head_rate=_HEAD_RATE.value,
        **run_flags.values(),
    )
    results = pathlib.Path(_RESULTS.value) if _RESULTS.value else directory / RESULTS
    flag_names = {flag: setting for setting, flag in FLAGS.items()}
    variants = variation.variants(base, _VALUES.value, flag_names)
    tasks = run_flags.TASKS.value
    print(
        variation.vary(
            *(tasks, base, variants, _SEEDS.value, directory, results, train_command), _APART.value
        )
    )
    print(f"\nEvery measurement is in {results}.")


if __name__ == "__main__":
    command.run(main)
