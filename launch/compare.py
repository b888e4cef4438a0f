"""Compares patches on the same tasks.

    launch/compare --tasks=pocket_decathlon --results=results/pocket_decathlon.csv

For each patch it tries learning rates in short runs and keeps the best on validation, trains with
that once for each seed, and scores test. It ends with tables and a picture of accuracy against
bytes. Where tasks have heads with different scores, nothing is averaged over them: rates are kept
by their mean rank over tasks, and there is no picture. Stopped or killed, the same command goes on
from there; it also adds seeds, patches or rates.
With --train_shared every run trains a network of its own, shared weights at the patch's rate.
"""

import functools
import pathlib
from collections.abc import Sequence

from absl import app, flags

from adapters import files, spec
from adapters.experiment import comparison
from adapters.experiment.comparing import compare
from adapters.experiment.comparison_report import NO_PICTURE
from adapters.experiment.run_files import RESULTS
from adapters.experiment.settings import SettingError
from launch import command, run_flags
from launch.train_command import train_command

flags.adopt_module_key_flags(run_flags)  # so that --help lists them

_PATCHES = flags.DEFINE_list(
    "patches",
    list(comparison.PATCHES),
    "Patches to compare; `full` and `head_only` are the ends between which the others stand.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds", comparison.Plan.seeds, "Runs of each patch, with the seeds 0, 1, ..."
)
_SWEEP_STEPS = flags.DEFINE_integer(
    "sweep_steps", comparison.Plan.sweep_steps, "Steps of the runs that choose rates."
)
_RATES = flags.DEFINE_list(
    "rates", [f"{rate:g}" for rate in comparison.Plan.rates], "Patch rates to try."
)
_HEAD_RATES = flags.DEFINE_list(
    "head_rates",
    [f"{rate:g}" for rate in comparison.Plan.head_rates],
    "Head rates to try with each patch rate; `head_only` gets further ones, up to the same number.",
)
_RESULTS = flags.DEFINE_string(
    "results",
    None,
    "CSV file for the results, results/NAME.csv, say; results.csv in --out if none.",
)
_PICTURE = flags.DEFINE_string(
    "picture", None, "PNG file for the picture too, docs/images/NAME.png, say."
)


def main(arguments: Sequence[str]) -> None:
    """Parses flags, compares, prints the tables."""
    if len(arguments) > 1:
        raise app.UsageError(f"arguments without a flag: {' '.join(arguments[1:])}")
    if not run_flags.TASKS.value:
        raise app.UsageError("name what to compare on: --tasks=pocket_decathlon, say.")
    if flags.FLAGS["shared_learning_rate"].present:
        raise app.UsageError(
            "--shared_learning_rate has no place here: with --train_shared, --rates are tried for "
            "the shared weights and the patch alike."
        )
    directory = pathlib.Path(run_flags.OUT.value)
    results = pathlib.Path(_RESULTS.value) if _RESULTS.value else directory / RESULTS
    tasks = run_flags.TASKS.value
    text = compare(
        tasks,
        spec.whole(_PATCHES.value),
        directory=directory,
        results=results,
        command=functools.partial(train_command, tasks),
        seeds=_SEEDS.value,
        sweep_steps=_SWEEP_STEPS.value,
        rates=_numbers(_RATES),
        head_rates=_numbers(_HEAD_RATES),
        **(run_flags.values() | {"shared_rate": None}),
    )
    print(text)
    picture = directory / comparison.PICTURE
    if not picture.exists():
        print(f"\nEvery measurement is in {results}. {NO_PICTURE}")
        return
    if _PICTURE.value:
        files.write_bytes(_PICTURE.value, picture.read_bytes())
    print(f"\nEvery measurement is in {results}, the picture in {_PICTURE.value or picture}.")


def _numbers(flag: flags.FlagHolder[list[str]]) -> list[float]:
    try:
        return [float(text) for text in flag.value]
    except ValueError as error:
        raise SettingError(flag.name, f"must hold numbers: {error}.") from error


if __name__ == "__main__":
    command.run(main)
