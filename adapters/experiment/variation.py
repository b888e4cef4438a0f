"""One setting at a time changed, and what each value gives on validation."""

import dataclasses
import pathlib
import re
import statistics
from collections.abc import Sequence
from typing import Any

from absl import logging

from adapters import files
from adapters.errors import UnknownNameError
from adapters.experiment import backbones, output
from adapters.experiment.runs import Runs
from adapters.experiment.settings import SettingError, Settings
from adapters.training import loop, tidy
from adapters.training.report import grid
from tasks import registry

TABLE = "table.txt"
BASE = "as given"
# The flags of `launch/train` that may vary, and the fields behind those of the recipe.
OWN = ("size", "groups", "examples", "sampling", "temperature", "augmentation", "encoding")
OF_RECIPE = {
    "norm": "norm",
    "steps": "steps",
    "patch_learning_rate": "patch_rate",
    "head_learning_rate": "head_rate",
    "warmup": "warmup",
    "weight_decay": "head_decay",
    "label_smoothing": "smoothing",
}


@dataclasses.dataclass(frozen=True)
class Variant:
    """A name, `size=96`, say, and the settings with that value and all else as given."""

    name: str
    settings: Settings


def variants(base: Settings, values: Sequence[str]) -> list[Variant]:
    """The base, then it with each value of texts such as `norm=frozen,ema`; repeats are left out.

    Raises:
      SettingError: a text of another form, or a value out of its range.
      UnknownNameError: no such setting.
    """
    found = [Variant(BASE, base)]
    for text in values:
        if not (parts := re.fullmatch(r"(\w+)=([^,=]+(?:,[^,=]+)*)", text)):
            raise SettingError(f"--values={text} must be a setting and values: norm=frozen,ema.")
        name, listed = parts.groups()
        for value in listed.split(","):
            settings = _changed(base, name, value)
            if all(settings != variant.settings for variant in found):
                found.append(Variant(f"{name}={value}", settings))
    return found


def _changed(base: Settings, name: str, value: str) -> Settings:
    if name in OF_RECIPE:
        field = OF_RECIPE[name]
        new = _parsed(name, value, getattr(base.recipe, field))
        return dataclasses.replace(base, recipe=dataclasses.replace(base.recipe, **{field: new}))
    if name in OWN:
        return dataclasses.replace(base, **{name: _parsed(name, value, getattr(base, name))})
    raise UnknownNameError("setting", name, [*OF_RECIPE, *OWN])


def _parsed(name: str, value: str, current: Any) -> Any:
    try:
        return type(current)(value)
    except ValueError as error:
        raise SettingError(f"--values={name}={value}: {error}.") from error


def vary(
    names: Sequence[str],
    base: Settings,
    chosen: Sequence[Variant],
    seeds: int,
    directory: pathlib.Path,
    results: pathlib.Path,
) -> str:
    """Does every run, or what is left of them, and returns a table of validation accuracies.

    Args:
      names: tasks and suites.
      base: what `directory` belongs to.
      chosen: what to try.
      seeds: runs of each.
      directory: gets a folder a run, and the table.
      results: gets a row a measurement.

    Raises:
      ConfigurationMismatchError: `directory` holds runs with another base.
      StoppedError: a signal stopped it; the same call goes on from there.
    """
    if seeds < 1:
        raise SettingError(f"--seeds must be 1 or more, not {seeds}.")
    tasks = registry.resolve(names)
    configuration = {
        **dataclasses.asdict(base),
        "tasks": [f"{task.name} {task.version}" for task in tasks],
        "fingerprint": backbones.load(base.backbone, base.weights).fingerprint,
    }
    with output.claimed(directory, configuration, resume=True, overwrite=False):
        steps = [variant.settings.recipe.steps for variant in chosen for _ in range(seeds)]
        runs = Runs(names, tasks, directory, steps)
        accuracies = {}
        for variant in chosen:
            for seed in range(seeds):
                settings = dataclasses.replace(variant.settings, seed=seed)
                folder = directory / "runs" / variant.name / f"seed_{seed}"
                try:
                    rows = runs.one(settings, folder, test=False)
                except loop.DivergedError as error:
                    logging.warning("%s, seed %d: %s", variant.name, seed, error)
                    continue
                named = [
                    dataclasses.replace(row, setting=f"{row.setting}; {variant.name}")
                    for row in rows
                ]
                tidy.update(results, named)
                accuracies[variant.name, seed] = {
                    row.task: row.value for row in rows if tidy.is_score(row)
                }
        text = _table([variant.name for variant in chosen], seeds, accuracies)
        files.write_bytes(directory / TABLE, (text + "\n").encode())
        return text


def _table(
    names: Sequence[str], seeds: int, accuracies: dict[tuple[str, int], dict[str, float]]
) -> str:
    tasks = list(next(iter(accuracies.values()), {}))
    lines = [["setting", *tasks, "mean", "± over seeds"]]
    for name in names:
        own = [accuracies[name, seed] for seed in range(seeds) if (name, seed) in accuracies]
        if not own:
            lines.append([name, *("-" for _ in tasks), "diverged", ""])
            continue
        by_task = [100 * statistics.fmean(run[task] for run in own) for task in tasks]
        means = [100 * statistics.fmean(run.values()) for run in own]
        spread = f"{statistics.stdev(means):.2f}" if len(means) > 1 else "-"
        lines.append(
            [name, *(f"{value:.1f}" for value in by_task), f"{statistics.fmean(means):.2f}", spread]
        )
    return "Accuracy on validation in %\n" + grid(lines, below=0)
