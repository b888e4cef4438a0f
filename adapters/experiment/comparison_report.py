"""What a comparison found: accuracies, and how far each patch goes from head_only to full."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from adapters.training.report import grid
from adapters.training.tidy import Measurement, is_score

LOWEST, HIGHEST = "head_only", "full"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one patch achieved.

    Attributes:
      patch: its specification.
      accuracies: {task: one a seed} in [0, 1].
      bytes: mean size of its files.
      shares: {task: its edits in % of the extractor's bytes, mean over seeds}.
    """

    patch: str
    accuracies: Mapping[str, Sequence[float]]
    bytes: float
    shares: Mapping[str, float]

    @property
    def by_task(self) -> dict[str, float]:
        """{task: mean over seeds}."""
        return {task: statistics.fmean(values) for task, values in self.accuracies.items()}

    @property
    def mean(self) -> float:
        """Over tasks and seeds."""
        return statistics.fmean(self.by_task.values())

    @property
    def spread(self) -> float:
        """Standard deviation over seeds (with n - 1) of the mean over tasks; 0 for one seed."""
        seeds = zip(*self.accuracies.values(), strict=True)
        means = [statistics.fmean(values) for values in seeds]
        return statistics.stdev(means) if len(means) > 1 else 0.0


def outcomes(rows: Sequence[Measurement]) -> tuple[str, list[Outcome]]:
    """Gathers the rows of all runs by patch, in the order they came.

    Returns:
      The split that counts (test, or validation where a task's test labels are hidden), and what
      each patch achieved there.
    """
    tested = {row.task for row in rows if row.split == "test"}
    split = "test" if tested == {row.task for row in rows} else "validation"
    found = []
    for patch in dict.fromkeys(row.patch for row in rows):
        own = [row for row in rows if row.patch == patch]
        accuracies: dict[str, list[float]] = {}
        for row in own:
            if row.split == split and is_score(row):
                accuracies.setdefault(row.task, []).append(row.value)
        shares: dict[str, list[float]] = {}
        for row in own:
            if row.metric == "share of extractor":
                shares.setdefault(row.task, []).append(row.value)
        found.append(
            Outcome(
                patch,
                accuracies,
                statistics.fmean(row.value for row in own if row.metric == "patch"),
                {task: statistics.fmean(values) for task, values in shares.items()},
            )
        )
    return split, found


def share_of_the_way(lowest: float, accuracy: float, highest: float) -> float | None:
    """Where `accuracy` stands between `lowest` (0) and `highest` (1); None if that is no gain."""
    return (accuracy - lowest) / (highest - lowest) if highest > lowest else None


def report(split: str, results: Sequence[Outcome]) -> str:
    """The tables, and in words where a patch loses to `head_only`."""
    named = {outcome.patch: outcome for outcome in results}
    parts = [_accuracies(split, results)]
    if LOWEST in named and HIGHEST in named:
        parts.append(_shares(named[LOWEST], results, named[HIGHEST]))
        parts.append("\n".join(_sizes(named[LOWEST], results, named[HIGHEST])))
    if LOWEST in named:
        parts.append("\n".join(_losses(named[LOWEST], results)))
    return "\n\n".join(filter(None, parts))


def summary(split: str, results: Sequence[Outcome]) -> str:
    """A line a patch, smallest files first; then what `report` says of sizes and losses."""
    named = {outcome.patch: outcome for outcome in results}
    lowest, highest = named.get(LOWEST), named.get(HIGHEST)
    lines = [["patch", "seeds", "mean", "±", "worst domain", "edits, kB", f"way to {HIGHEST}"]]
    for outcome in sorted(results, key=lambda outcome: outcome.bytes):
        way = None
        if lowest and highest:
            way = share_of_the_way(lowest.mean, outcome.mean, highest.mean)
        heads = lowest.bytes if lowest else 0.0
        seeds = len(next(iter(outcome.accuracies.values())))
        spread = f"{100 * outcome.spread:.2f}" if seeds > 1 else "-"
        worst = min(outcome.by_task, key=outcome.by_task.__getitem__)
        lines.append(
            [
                outcome.patch,
                str(seeds),
                f"{100 * outcome.mean:.2f}",
                spread,
                f"{worst} {100 * outcome.by_task[worst]:.1f}",
                f"{(outcome.bytes - heads) / 1000:,.1f}",
                f"{_percent(way)} %",
            ]
        )
    parts = [f"Accuracy on {split} in %, mean over tasks\n" + grid(lines, below=0)]
    if lowest and highest:
        parts.append("\n".join(_sizes(lowest, results, highest)))
    if lowest:
        parts.append("\n".join(_losses(lowest, results)))
    return "\n\n".join(filter(None, parts))


def _accuracies(split: str, results: Sequence[Outcome]) -> str:
    seeds = len(next(iter(results[0].accuracies.values())))
    lines = [["task", *(outcome.patch for outcome in results)]]
    for task in results[0].accuracies:
        lines.append([task, *(f"{100 * outcome.by_task[task]:.2f}" for outcome in results)])
    lines.append(["mean", *(f"{100 * outcome.mean:.2f}" for outcome in results)])
    if seeds > 1:
        lines.append(["± over seeds", *(f"{100 * outcome.spread:.2f}" for outcome in results)])
    lines.append(["worst domain", *(f"{100 * min(o.by_task.values()):.2f}" for o in results)])
    lines.append(["bytes", *(f"{outcome.bytes:,.0f}" for outcome in results)])
    runs = f"{seeds} seeds" if seeds > 1 else "1 seed"
    return f"Accuracy on {split} in %, {runs}\n" + grid(lines, below=4 if seeds > 1 else 3)


def _shares(lowest: Outcome, results: Sequence[Outcome], highest: Outcome) -> str:
    between = [outcome for outcome in results if outcome.patch not in (LOWEST, HIGHEST)]
    if not between:
        return ""
    lines = [["task", *(outcome.patch for outcome in between)]]
    for task, low in lowest.by_task.items():
        high = highest.by_task[task]
        shares = (share_of_the_way(low, outcome.by_task[task], high) for outcome in between)
        lines.append([task, *map(_percent, shares)])
    shares = (share_of_the_way(lowest.mean, outcome.mean, highest.mean) for outcome in between)
    lines.append(["of the means", *map(_percent, shares)])
    return (
        f"How much of the way from {LOWEST} to {HIGHEST}, in % (-: {HIGHEST} gains nothing)\n"
        + grid(lines, below=1)
    )


def _sizes(lowest: Outcome, results: Sequence[Outcome], highest: Outcome) -> list[str]:
    """Of patches whose size is a task's own: whether the larger ones are where most is missing."""
    lines = []
    for outcome in results:
        tasks = list(outcome.shares)
        sizes = [outcome.shares[task] for task in tasks]
        if max(sizes) - min(sizes) <= 1e-3 * max(sizes):
            continue  # one size for all
        missing = [highest.by_task[task] - lowest.by_task[task] for task in tasks]
        smallest, *_, largest = sorted(tasks, key=outcome.shares.__getitem__)
        # Where the gain is the same on every task, nothing can follow it.
        same = len(set(missing)) == 1
        related = 0.0 if same else statistics.correlation(_ranks(sizes), _ranks(missing))
        lines.append(
            f"{outcome.patch} edits from {outcome.shares[smallest]:.2f} % ({smallest}) to "
            f"{outcome.shares[largest]:.2f} % ({largest}) of the extractor; rank correlation with "
            f"what {HIGHEST} gains over {LOWEST}: {related:.2f}."
        )
    return lines


def _ranks(values: Sequence[float]) -> list[float]:
    """Places in ascending order; equal values share their mean place."""
    return [
        sum(other < value for other in values) + sum(other == value for other in values) / 2
        for value in values
    ]


def _losses(lowest: Outcome, results: Sequence[Outcome]) -> list[str]:
    lines = []
    for outcome in results:
        differences = {
            task: 100 * (accuracy - lowest.by_task[task])
            for task, accuracy in outcome.by_task.items()
        }
        lost = [f"{task} ({by:.2f} points)" for task, by in differences.items() if by < 0]
        if lost:
            lines.append(f"{outcome.patch} loses to {LOWEST} on {', '.join(lost)}.")
    return lines


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}"
