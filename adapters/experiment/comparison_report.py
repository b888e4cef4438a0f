"""What a comparison found: scores, and how far each patch goes from head_only to full.

Scores are accuracies, or what else the tasks' heads are scored by. Where that differs between
tasks, each stands for itself: there is no mean, no spread, no worst domain and no picture.
"""

import dataclasses
import os
import statistics
from collections.abc import Mapping, Sequence

from adapters.training import plots
from adapters.training.report import grid, named, one_score, titled
from adapters.training.tidy import Measurement, is_score

LOWEST, HIGHEST = "head_only", "full"
NO_PICTURE = "There is no picture: the tasks have scores of several kinds, which have no mean."


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one patch achieved.

    Attributes:
      patch: its specification.
      scores: {task: one a seed}; 1 is the best.
      bytes: mean size of its files.
      shares: {task: its edits in % of the extractor's bytes, mean over seeds}.
      metrics: {task: what it is scored by}.
    """

    patch: str
    scores: Mapping[str, Sequence[float]]
    bytes: float
    shares: Mapping[str, float]
    metrics: Mapping[str, str]

    @property
    def by_task(self) -> dict[str, float]:
        """{task: mean over seeds}."""
        return {task: statistics.fmean(values) for task, values in self.scores.items()}

    @property
    def metric(self) -> str | None:
        """What all tasks are scored by; None where that differs."""
        return one_score(self.metrics.values())

    @property
    def seeds(self) -> int:
        """How many runs each task had."""
        return len(next(iter(self.scores.values())))

    def named(self, task: str) -> str:
        """A task's name, with its score where that differs between tasks."""
        return task if self.metric else named(task, self.metrics[task])

    @property
    def mean(self) -> float:
        """Over tasks and seeds; of scores of one kind alone."""
        return statistics.fmean(self.by_task.values())

    @property
    def spread(self) -> float:
        """Standard deviation over seeds (with n - 1) of the mean over tasks; 0 for one seed."""
        seeds = zip(*self.scores.values(), strict=True)
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
        scores: dict[str, list[float]] = {}
        metrics: dict[str, str] = {}
        for row in own:
            if row.split == split and is_score(row):
                scores.setdefault(row.task, []).append(row.value)
                metrics[row.task] = row.metric
        shares: dict[str, list[float]] = {}
        for row in own:
            if row.metric == "share of extractor":
                shares.setdefault(row.task, []).append(row.value)
        found.append(
            Outcome(
                patch,
                scores,
                statistics.fmean(row.value for row in own if row.metric == "patch"),
                {task: statistics.fmean(values) for task, values in shares.items()},
                metrics,
            )
        )
    return split, found


def share_of_the_way(lowest: float, score: float, highest: float) -> float | None:
    """Where `score` stands between `lowest` (0) and `highest` (1); None if that is no gain."""
    return (score - lowest) / (highest - lowest) if highest > lowest else None


def report(split: str, results: Sequence[Outcome]) -> str:
    """The tables, and in words where a patch loses to `head_only`."""
    by_patch = {outcome.patch: outcome for outcome in results}
    lowest, highest = by_patch.get(LOWEST), by_patch.get(HIGHEST)
    parts = [_scores(split, results)]
    if lowest and highest:
        parts.append(_shares(lowest, results, highest))
        parts.append("\n".join(_sizes(lowest, results, highest)))
    if lowest:
        parts.append("\n".join(_losses(lowest, results)))
    return "\n\n".join(filter(None, parts))


def summary(split: str, results: Sequence[Outcome]) -> str:
    """A line a patch, smallest files first; then what `report` says of sizes and losses."""
    by_patch = {outcome.patch: outcome for outcome in results}
    lowest, highest = by_patch.get(LOWEST), by_patch.get(HIGHEST)
    ordered = sorted(results, key=lambda outcome: outcome.bytes)
    metric = results[0].metric
    if metric:
        table = f"{titled(metric)} on {split} in %, mean over tasks\n"
        table += _means(lowest, ordered, highest)
    else:
        table = f"Each task's own score on {split} in %\n" + _task_by_task(lowest, ordered)
    parts = [table]
    if lowest and highest:
        parts.append("\n".join(_sizes(lowest, results, highest)))
    if lowest:
        parts.append("\n".join(_losses(lowest, results)))
    return "\n\n".join(filter(None, parts))


def picture(path: str | os.PathLike[str], split: str, results: Sequence[Outcome]) -> bool:
    """Draws scores against bytes to `path`; False, and nothing, where there is no mean to draw."""
    metric = results[0].metric
    if metric is None:
        return False
    points = [plots.Point(each.patch, each.bytes, each.mean, each.spread) for each in results]
    plots.trade_off(path, points, split, metric)
    return True


def ranks(values: Sequence[float]) -> list[float]:
    """Places in ascending order from 1/2; equal values share their mean place."""
    return [
        sum(other < value for other in values) + sum(other == value for other in values) / 2
        for value in values
    ]


def _means(lowest: Outcome | None, results: Sequence[Outcome], highest: Outcome | None) -> str:
    lines = [["patch", "seeds", "mean", "±", "worst domain", "edits, kB", f"way to {HIGHEST}"]]
    for outcome in results:
        way = None
        if lowest and highest:
            way = share_of_the_way(lowest.mean, outcome.mean, highest.mean)
        spread = f"{100 * outcome.spread:.2f}" if outcome.seeds > 1 else "-"
        worst = min(outcome.by_task, key=outcome.by_task.__getitem__)
        lines.append(
            [
                outcome.patch,
                str(outcome.seeds),
                f"{100 * outcome.mean:.2f}",
                spread,
                f"{worst} {100 * outcome.by_task[worst]:.1f}",
                _edits(lowest, outcome),
                f"{_percent(way)} %",
            ]
        )
    return grid(lines, below=0)


def _task_by_task(lowest: Outcome | None, results: Sequence[Outcome]) -> str:
    tasks = list(results[0].scores)
    lines = [["patch", "seeds", *map(results[0].named, tasks), "edits, kB"]]
    for outcome in results:
        scores = (f"{100 * outcome.by_task[task]:.1f}" for task in tasks)
        lines.append([outcome.patch, str(outcome.seeds), *scores, _edits(lowest, outcome)])
    return grid(lines, below=0)


def _edits(lowest: Outcome | None, outcome: Outcome) -> str:
    return f"{(outcome.bytes - (lowest.bytes if lowest else 0.0)) / 1000:,.1f}"


def _scores(split: str, results: Sequence[Outcome]) -> str:
    first = results[0]
    lines = [["task", *(outcome.patch for outcome in results)]]
    for task in first.scores:
        own = (f"{100 * outcome.by_task[task]:.2f}" for outcome in results)
        lines.append([first.named(task), *own])
    below = []
    if first.metric:
        below.append(["mean", *(f"{100 * outcome.mean:.2f}" for outcome in results)])
        if first.seeds > 1:
            below.append(["± over seeds", *(f"{100 * outcome.spread:.2f}" for outcome in results)])
        below.append(["worst domain", *(f"{100 * min(o.by_task.values()):.2f}" for o in results)])
    below.append(["bytes", *(f"{outcome.bytes:,.0f}" for outcome in results)])
    runs = f"{first.seeds} seeds" if first.seeds > 1 else "1 seed"
    title = f"{titled(first.metric or 'score')} on {split} in %, {runs}\n"
    return title + grid([*lines, *below], below=len(below))


def _shares(lowest: Outcome, results: Sequence[Outcome], highest: Outcome) -> str:
    between = [outcome for outcome in results if outcome.patch not in (LOWEST, HIGHEST)]
    if not between:
        return ""
    lines = [["task", *(outcome.patch for outcome in between)]]
    for task, low in lowest.by_task.items():
        high = highest.by_task[task]
        shares = (share_of_the_way(low, outcome.by_task[task], high) for outcome in between)
        lines.append([lowest.named(task), *map(_percent, shares)])
    if lowest.metric:
        shares = (share_of_the_way(lowest.mean, outcome.mean, highest.mean) for outcome in between)
        lines.append(["of the means", *map(_percent, shares)])
    return (
        f"How much of the way from {LOWEST} to {HIGHEST}, in % (-: {HIGHEST} gains nothing)\n"
        + grid(lines, below=1 if lowest.metric else 0)
    )


def _sizes(lowest: Outcome, results: Sequence[Outcome], highest: Outcome) -> list[str]:
    """Of patches whose size is a task's own: whether the larger ones are where most is missing."""
    lines = []
    for outcome in results:
        tasks = list(outcome.shares)
        sizes = [outcome.shares[task] for task in tasks]
        if max(sizes) - min(sizes) <= 1e-3 * max(sizes):
            continue  # one size for all
        smallest, *_, largest = sorted(tasks, key=outcome.shares.__getitem__)
        line = (
            f"{outcome.patch} edits from {outcome.shares[smallest]:.2f} % ({smallest}) to "
            f"{outcome.shares[largest]:.2f} % ({largest}) of the extractor"
        )
        if outcome.metric:
            missing = [highest.by_task[task] - lowest.by_task[task] for task in tasks]
            # Where the gain is the same on every task, nothing can follow it.
            same = len(set(missing)) == 1
            related = 0.0 if same else statistics.correlation(ranks(sizes), ranks(missing))
            line += f"; rank correlation with what {HIGHEST} gains over {LOWEST}: {related:.2f}"
        lines.append(f"{line}.")
    return lines


def _losses(lowest: Outcome, results: Sequence[Outcome]) -> list[str]:
    lines = []
    for outcome in results:
        differences = {
            task: 100 * (score - lowest.by_task[task]) for task, score in outcome.by_task.items()
        }
        lost = [
            f"{outcome.named(task)} ({by:.2f} points)" for task, by in differences.items() if by < 0
        ]
        if lost:
            lines.append(f"{outcome.patch} loses to {LOWEST} on {', '.join(lost)}.")
    return lines


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}"
