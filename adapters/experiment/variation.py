"""One setting at a time changed, and what each value gives on validation."""

import dataclasses
import pathlib
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from adapters import files
from adapters.errors import UnknownNameError
from adapters.experiment import backbones, chosen_tasks, output
from adapters.experiment.calls import fit_call
from adapters.experiment.runs import Runs
from adapters.experiment.settings import SettingError, Settings
from adapters.experiment.task_heads import with_head
from adapters.spec import whole
from adapters.training import loop, tidy
from adapters.training.report import grid, named, one_score, titled
from tasks.task import Task

TABLE = "table.txt"
BASE = "as given"
OWN = (
    *("size", "groups", "examples", "sampling", "scheduler", "gradients"),
    *(
        "augmentation",
        "balance",
        "encoding",
        "checkpoint",
        "validations",
        "patience",
        "head",
        "share",
    ),
)
OF_RECIPE = ("norm", "steps", "patch_rate", "head_rate", "warmup", "head_decay", "smoothing")


@dataclasses.dataclass(frozen=True)
class Variant:
    """A name, `size=96`, say, and the settings with that value and all else as given."""

    name: str
    settings: Settings


def variants(
    base: Settings, values: Sequence[str], called: Mapping[str, str] | None = None
) -> list[Variant]:
    """The base, then it with each value of texts such as `norm=frozen,ema`; repeats are left out.

    `called` holds further names that the texts may use for settings, and the settings' own.

    Raises:
      SettingError: a text of another form, or a value out of its range.
      UnknownNameError: no such setting.
    """
    found = [Variant(BASE, base)]
    for text in values:
        parts = re.fullmatch(r"(\w+)=(.+)", text)
        listed = whole(parts[2].split(",")) if parts else []
        if not parts or any(not re.fullmatch(r"[^=(]+(\(.*\))?", value) for value in listed):
            raise SettingError(
                "values", f"must be a setting and values, norm=frozen,ema, say, not {text}."
            )
        name = parts[1]
        for value in listed:
            settings = _changed(base, name, (called or {}).get(name, name), value, called or {})
            if all(settings != variant.settings for variant in found):
                found.append(Variant(f"{name}={value}", settings))
    return found


def _changed(
    base: Settings, name: str, field: str, value: str, called: Mapping[str, str]
) -> Settings:
    if field in OF_RECIPE:
        new = _parsed(name, value, getattr(base.recipe, field))
        return dataclasses.replace(base, recipe=dataclasses.replace(base.recipe, **{field: new}))
    if field in OWN:
        return dataclasses.replace(base, **{field: _parsed(name, value, getattr(base, field))})
    names = {setting: name for name, setting in called.items()}
    raise UnknownNameError("setting", name, [names.get(f, f) for f in (*OF_RECIPE, *OWN)])


def _parsed(name: str, value: str, current: Any) -> Any:
    try:
        return (str if current is None else type(current))(value)
    except ValueError as error:
        raise SettingError("values", f"holds {name}={value}: {error}.") from error


def vary(
    names: Sequence[str],
    base: Settings,
    chosen: Sequence[Variant],
    seeds: int,
    directory: pathlib.Path,
    results: pathlib.Path,
    command: Callable[[Sequence[str], Settings], str] = fit_call,
    apart: bool = False,
) -> str:
    """Does every run, or what is left of them, and returns a table of validation scores.

    Args:
      names: tasks and suites.
      base: what `directory` belongs to.
      chosen: what to try.
      seeds: runs of each.
      directory: gets a folder a run, and the table.
      results: gets a row a measurement.
      command: (names, settings) -> what repeats one run, to be recorded.
      apart: whether each task is trained in a run of its own: what it reaches alone.

    Raises:
      ConfigurationMismatchError: `directory` holds runs with another base.
      StoppedError: a signal stopped it; the same call goes on from there.
    """
    if seeds < 1:
        raise SettingError("seeds", f"must be 1 or more, not {seeds}.")
    tasks = with_head(chosen_tasks.chosen(names, base.data_dir), base.head)
    configuration = {
        **dataclasses.asdict(base),
        **chosen_tasks.identity(tasks, chosen_tasks.held(tasks, base.data_dir)),
        "fingerprint": backbones.load(base.backbone, base.weights).fingerprint,
        **({"apart": True} if apart else {}),
    }
    together = _one_by_one(names, tasks, base.data_dir) if apart else [_Together(names, tasks, "")]
    resume = output.holds_run(directory)
    with output.claimed(directory, configuration, resume, overwrite=False):
        steps = [variant.settings.recipe.steps for variant in chosen for _ in range(seeds)]
        runs = Runs(directory, steps * len(together))
        scores = {}
        for variant in chosen:
            for seed in range(seeds):
                settings = dataclasses.replace(variant.settings, seed=seed)
                folder = directory / "runs" / variant.name / f"seed_{seed}"
                try:
                    rows = [
                        row
                        for said, own, place in together
                        for row in runs.one(
                            with_head(own, settings.head),
                            *(settings, folder / place, command(said, settings)),
                            test=False,
                        )
                    ]
                except loop.DivergedError as error:
                    logging.warning("%s, seed %d: %s", variant.name, seed, error)
                    continue
                alone = ", each task alone" if apart else ""
                changed = [
                    dataclasses.replace(row, setting=f"{row.setting}{alone}; {variant.name}")
                    for row in rows
                ]
                tidy.update(results, changed)
                scores[variant.name, seed] = {
                    row.task: row.value for row in rows if tidy.is_score(row)
                }
        metrics = {task.name: task.metric for task in tasks}
        text = _table([variant.name for variant in chosen], seeds, scores, metrics)
        files.write_bytes(directory / TABLE, (text + "\n").encode())
        return text


class _Together(NamedTuple):
    """Tasks that one run trains: how they were called, and in which folder."""

    names: Sequence[str]
    tasks: Sequence[Task]
    folder: str


def _one_by_one(
    names: Sequence[str], tasks: Sequence[Task], data_dir: str | None
) -> list[_Together]:
    """Each task for itself, as it was called, or by its own name where it is one of a suite."""
    own = {task.name: task for task in tasks}
    found = []
    for name in chosen_tasks.names(names):
        members = chosen_tasks.chosen([name], data_dir)
        for task in members:
            said = name if len(members) == 1 else task.name
            found.append(_Together([said], [own[task.name]], task.name))
    return found


def _table(
    names: Sequence[str],
    seeds: int,
    scores: Mapping[tuple[str, int], Mapping[str, float]],
    metrics: Mapping[str, str],
) -> str:
    """A line a setting; no mean over tasks where `metrics`, by task, are of several kinds."""
    tasks = list(next(iter(scores.values()), {}))
    metric = one_score(metrics.values())
    titles = tasks if metric else [named(task, metrics[task]) for task in tasks]
    lines = [["setting", *titles, "mean", "± over seeds"]]
    for name in names:
        own = [scores[name, seed] for seed in range(seeds) if (name, seed) in scores]
        if not own:
            lines.append([name, *("-" for _ in tasks), "diverged", ""])
            continue
        by_task = [100 * statistics.fmean(run[task] for run in own) for task in tasks]
        means = [100 * statistics.fmean(run.values()) for run in own]
        mean = f"{statistics.fmean(means):.2f}" if metric else "-"
        spread = f"{statistics.stdev(means):.2f}" if metric and len(means) > 1 else "-"
        lines.append([name, *(f"{value:.1f}" for value in by_task), mean, spread])
    return f"{titled(metric or 'score')} on validation in %\n" + grid(lines, below=0)
