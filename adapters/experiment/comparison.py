"""Patches compared on the same tasks: rates chosen on validation, then several seeds on test.

The rates chosen for a patch are those of the highest mean score over tasks. Where tasks have scores
of several kinds, which have no mean, they are those of the best mean rank: on each task the rates
tried are ranked by its score, 1 being the best and equal ones sharing their mean rank.
"""

import dataclasses
import functools
import itertools
import math
import pathlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from absl import logging

from adapters import files
from adapters.experiment import backbones, chosen_tasks, comparison_report, output
from adapters.experiment.calls import fit_call
from adapters.experiment.chosen_tasks import Wanted
from adapters.experiment.runs import Runs
from adapters.experiment.settings import SettingError, Settings
from adapters.experiment.task_heads import with_head
from adapters.patches.registry import from_spec
from adapters.training import loop, tidy
from adapters.training.report import one_score
from tasks.task import Task

HEAD_ONLY = "head_only"
PATCHES = (HEAD_ONLY, "bias", "scale_bias", "scale_bias+depthwise", "full")
PICTURE, SWEEP, TABLE = "accuracy_against_bytes.png", "sweep.csv", "table.txt"
# 1 and 3 times the powers of ten: steps of about half a decade.
_LADDER = [float(f"{digit}e{power}") for power in range(-20, 5) for digit in (1, 3)]


class Rates(NamedTuple):
    """Peak learning rates of a patch (0 where it has nothing to train) and of the heads."""

    patch: float
    head: float

    def __str__(self) -> str:
        return f"patch_{self.patch:g}_head_{self.head:g}"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
      tasks: to compare on, as `adapters.fit` takes them.
      patches: their specifications.
      seeds: how many runs a patch gets at the rates chosen for it.
      sweep_steps: steps of the runs that choose the rates.
      rates, head_rates: learning rates tried, each of the patch with each of the head.
      base: everything else; its patch, its seed and its learning rates are replaced. Where it
        trains the shared weights too, they have the patch's rate.

    Raises:
      SettingError: a value out of its range.
      UnknownNameError, SpecError: a patch that does not exist.
    """

    tasks: Wanted | Sequence[Wanted]
    patches: Sequence[str] = PATCHES
    seeds: int = 3
    sweep_steps: int = 400
    rates: Sequence[float] = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    head_rates: Sequence[float] = (1e-3, 1e-2)
    base: Settings = dataclasses.field(default_factory=Settings)

    def __post_init__(self) -> None:
        for name, number in (("seeds", self.seeds), ("sweep_steps", self.sweep_steps)):
            if number < 1:
                raise SettingError(name, f"must be 1 or more, not {number}.")
        for name, values in (("rates", self.rates), ("head_rates", self.head_rates)):
            positive = all(math.isfinite(rate) and rate > 0 for rate in values)
            if not values or not positive or len(set(values)) != len(values):
                given = ",".join(f"{rate:g}" for rate in values)
                raise SettingError(
                    name, f"must be one or more different numbers above 0, not {given}."
                )
        if not self.patches or len(set(self.patches)) != len(self.patches):
            raise SettingError(
                "patches", f"must name patches, each once, not {','.join(self.patches)}."
            )
        for patch in self.patches:
            from_spec(patch, self.base.recipe.norm)

    def candidates(self, patch: str) -> list[Rates]:
        """The rates tried for `patch`: the same number for each.

        `head_only` has one rate where the others have two, so it gets further ones of the head: the
        nearest half decades above and below those of `head_rates`.
        """
        pairs = list(itertools.starmap(Rates, itertools.product(self.rates, self.head_rates)))
        if patch != HEAD_ONLY or self.base.train_shared:
            return pairs
        above = [rate for rate in _LADDER if rate > max(self.head_rates)]
        below = [rate for rate in reversed(_LADDER) if rate < min(self.head_rates)]
        further = itertools.chain.from_iterable(zip(above, below, strict=False))
        heads = [*self.head_rates, *further][: len(pairs)]
        return [Rates(0.0, head) for head in sorted(heads)]

    def settings(self, patch: str, seed: int, rates: Rates, steps: int) -> Settings:
        """Of one run."""
        recipe = dataclasses.replace(
            self.base.recipe,
            steps=steps,
            patch_rate=rates.patch,
            head_rate=rates.head,
            shared_rate=rates.patch if self.base.train_shared else 0.0,
        )
        return dataclasses.replace(self.base, patch=patch, seed=seed, recipe=recipe)


def compare(
    plan: Plan,
    directory: pathlib.Path,
    results: pathlib.Path,
    command: Callable[[Settings], str] | None = None,
) -> str:
    """Runs the whole comparison, or what is left of it, and returns its tables as text.

    `directory` gets a folder for each run, `sweep.csv` with what the rates were chosen by,
    `table.txt` and, unless scores are of several kinds, the picture; `results` one row a
    measurement. A run is finished when its folder holds `results.csv`; more seeds, patches or rates
    may be asked for later. `command` gives what repeats one run, to be recorded with its results;
    by default the call of `adapters.fit`.

    Raises:
      ConfigurationMismatchError: `directory` holds a comparison with other settings.
      StoppedError: a signal stopped it; the same call goes on from there.
    """
    tasks = with_head(chosen_tasks.chosen(plan.tasks, plan.base.data_dir), plan.base.head)
    command = command or functools.partial(fit_call, chosen_tasks.names(plan.tasks))
    resume = output.holds_run(directory)
    with output.claimed(directory, _configuration(plan, tasks), resume, overwrite=False):
        comparison = Comparison(plan, tasks, directory, command)
        rows, chosen = [], []
        for patch in plan.patches:
            choice = comparison.choose(patch)
            chosen.append(choice)
            for seed in range(plan.seeds):
                measured = comparison.measure(patch, seed, choice.rates)
                tidy.update(results, measured)
                rows += measured
        split, outcomes = comparison_report.outcomes(rows)
        text = "\n\n".join([comparison_report.report(split, outcomes), "\n".join(map(str, chosen))])
        files.write_bytes(directory / TABLE, (text + "\n").encode())
        comparison_report.picture(directory / PICTURE, split, outcomes)
        return text


@dataclasses.dataclass(frozen=True)
class Choice:
    """The rates chosen for a patch, in words what they were chosen by, and how many were tried.

    Where there was one pair of rates, nothing was tried, and `by` is None.
    """

    patch: str
    rates: Rates
    by: str | None
    tried: Sequence[Rates]

    def __str__(self) -> str:
        if self.by is None:
            return (
                f"{self.patch}: patch rate {self.rates.patch:g}, head rate {self.rates.head:g} as "
                "given"
            )
        text = (
            f"{self.patch}: patch rate {self.rates.patch:g}, head rate {self.rates.head:g} chosen "
            f"of {len(self.tried)} ({self.by} on validation in the sweep)"
        )
        for name in Rates._fields:
            grid = sorted({getattr(rates, name) for rates in self.tried})
            rate = getattr(self.rates, name)
            if len(grid) > 2 and rate in (grid[0], grid[-1]):
                end = "lowest" if rate == grid[0] else "highest"
                text += f"; the {name} rate is the {end} tried: a wider grid may do better"
        return text


class Comparison:
    """The runs of a plan, each done once: those whose folder is finished are only read."""

    def __init__(
        self,
        plan: Plan,
        tasks: Sequence[Task],
        directory: pathlib.Path,
        command: Callable[[Settings], str],
    ):
        self._plan, self._directory, self._tasks = plan, directory, tasks
        candidates = [len(plan.candidates(patch)) for patch in plan.patches]
        sweeps = sum(count for count in candidates if count > 1)
        final = len(plan.patches) * plan.seeds
        steps = [plan.sweep_steps] * sweeps + [plan.base.recipe.steps] * final
        self._runs, self._command = Runs(directory, steps), command

    def choose(self, patch: str) -> Choice:
        """The best rates on validation, as the module says; no test split is opened."""
        tried = self._plan.candidates(patch)
        if len(tried) == 1:
            return Choice(patch, tried[0], None, tried)
        scores = {}
        for rates in tried:
            settings = self._plan.settings(patch, 0, rates, self._plan.sweep_steps)
            # The last step tells rates apart, too; to validate on the way may cost more than steps.
            settings = dataclasses.replace(settings, checkpoint="last", validations=0, patience=0)
            folder = self._directory / "sweep" / patch / str(rates)
            try:
                rows = [
                    row for row in self._done(settings, folder, test=False) if tidy.is_score(row)
                ]
            except loop.DivergedError as error:
                logging.warning("%s at %s: %s", patch, rates, error)
                scores[rates] = {task.name: -math.inf for task in self._tasks}
                continue
            tidy.update(
                self._directory / SWEEP,
                [dataclasses.replace(row, setting=f"{row.setting}, {rates}") for row in rows],
            )
            scores[rates] = {row.task: row.value for row in rows}
        if one_score(task.metric for task in self._tasks):
            means = {rates: statistics.fmean(own.values()) for rates, own in scores.items()}
            best = max(tried, key=means.__getitem__)
            return Choice(patch, best, f"{100 * means[best]:.2f} %", tried)
        places = mean_ranks(scores)
        best = min(tried, key=places.__getitem__)
        return Choice(patch, best, f"mean rank {places[best]:.3g} over tasks", tried)

    def measure(self, patch: str, seed: int, rates: Rates) -> list[tidy.Measurement]:
        """A run at chosen rates: the only one that looks at test."""
        settings = self._plan.settings(patch, seed, rates, self._plan.base.recipe.steps)
        folder = self._directory / "runs" / patch / str(rates) / f"seed_{seed}"
        return self._done(settings, folder, test=True)

    def _done(self, settings: Settings, folder: pathlib.Path, test: bool) -> list[tidy.Measurement]:
        return self._runs.one(self._tasks, settings, folder, self._command(settings), test)


def mean_ranks(scores: Mapping[Rates, Mapping[str, float]]) -> dict[Rates, float]:
    """The mean over tasks of each rates' rank by a task's score, of {rates: {task: score}}."""
    tasks = next(iter(scores.values()))
    ranked = [comparison_report.ranks([own[task] for own in scores.values()]) for task in tasks]
    best = len(scores) + 0.5
    return {
        rates: best - statistics.fmean(own)
        for rates, own in zip(scores, zip(*ranked, strict=True), strict=True)
    }


def _configuration(plan: Plan, tasks: Sequence[Task]) -> dict[str, object]:
    """What the runs of a folder must share; patches, seeds and rates have folders of their own."""
    settings = plan.settings("", 0, Rates(0.0, 0.0), plan.base.recipe.steps)
    return {
        **dataclasses.asdict(settings),
        "sweep_steps": plan.sweep_steps,
        **chosen_tasks.identity(tasks, chosen_tasks.held(tasks, settings.data_dir)),
        "fingerprint": backbones.load(settings.backbone, settings.weights).fingerprint,
    }
