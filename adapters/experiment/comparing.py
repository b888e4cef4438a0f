"""Patches compared, in one call."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from adapters.experiment import comparison
from adapters.experiment.chosen_tasks import Wanted
from adapters.experiment.run_files import RESULTS
from adapters.experiment.settings import SettingError, Settings, settings_of
from adapters.patches.contract import Patch


def compare(
    tasks: Wanted | Sequence[Wanted],
    patches: str | Patch | Sequence[str | Patch] = comparison.PATCHES,
    *,
    directory: str | os.PathLike[str],
    results: str | os.PathLike[str] | None = None,
    command: Callable[[Settings], str] | None = None,
    seeds: int = comparison.Plan.seeds,
    sweep_steps: int = comparison.Plan.sweep_steps,
    rates: Sequence[float] = comparison.Plan.rates,
    head_rates: Sequence[float] = comparison.Plan.head_rates,
    **settings: Any,
) -> str:
    """Tries learning rates for each patch, trains with the best for each seed, and scores test.

    What is there is not done again: the same call goes on after a stop, and adds what is new in it.

    Args:
      tasks: as `adapters.fit` takes them.
      patches: one or more specs, or patches that a spec names.
      directory: gets a folder for each run, tables, and a picture of accuracy against bytes; none
        where tasks have scores of several kinds, which have no mean.
      results: CSV file that gets a row a measurement; `results.csv` in `directory` without.
      command: gives what repeats one run, to be recorded; by default the call of `adapters.fit`.
      seeds: how many runs a patch gets at the rates chosen for it.
      sweep_steps: steps of the runs that choose the rates.
      rates, head_rates: learning rates tried, each of the patch with each of the heads. Those of
        the highest mean score on validation are taken; where tasks have scores of several kinds,
        those of the best mean rank over tasks.
      settings: as `adapters.fit` takes them, but for the patch, the seed and learning rates.

    Returns:
      Tables of scores, bytes and chosen rates, as text.

    Raises what `adapters.fit` does, and SettingError for what replaces a setting of each run.
    """
    for name in ("patch", "seed", "patch_rate", "head_rate", "shared_rate"):
        if settings.get(name) is not None:
            raise SettingError(name, "has no place here: a comparison gives each run its own.")
    listed = [patches] if isinstance(patches, str | Patch) else list(patches)
    if not listed or not all(isinstance(one, str | Patch) for one in listed):
        raise SettingError("patches", "must be specs or patches, one or more.")
    specs = [one if isinstance(one, str) else one.spec for one in listed]
    if not all(specs):
        raise SettingError("patches", "holds one that no spec names: a comparison repeats specs.")
    base = settings_of(**settings)
    plan = comparison.Plan(tasks, specs, seeds, sweep_steps, rates, head_rates, base)
    folder = pathlib.Path(directory)
    return comparison.compare(plan, folder, pathlib.Path(results or folder / RESULTS), command)
