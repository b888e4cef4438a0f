"""Ways to train tasks together, beside what each task reaches alone: mean, worst task, one score.

The score is in the manner of the Visual Decathlon (Rebuffi et al., arXiv 1705.08045, section 4): of
each task `1000 * (max(0, Emax - E) / Emax)**2`, where `E` is its error and `Emax` twice the error
of the task alone. So tasks that are as good as alone give 250 each; errors that are twice as large
give nothing.
"""

import statistics
from collections.abc import Mapping, Sequence

from adapters.errors import ModelPatchError
from adapters.spec import whole
from adapters.training.report import grid
from adapters.training.tidy import Measurement, is_score

AS_ALONE = 250  # what a task scores that is as good as alone


class ReferencesError(ModelPatchError):
    """Results without the scores that they are compared by, or of other tasks."""


def report(rows: Sequence[Measurement], alone: Sequence[Measurement]) -> str:
    """A table: a line a setting of `rows`, beside what `alone` says of the same tasks.

    The split is test, where both have it of every task, else validation; a task's score is the mean
    over its rows.

    Raises ReferencesError where a task has no score, or is alone in one of the two.
    """
    split = "test" if _tested(rows) and _tested(alone) else "validation"
    references = {task: statistics.fmean(own) for task, own in _scores(alone, split).items()}
    settings = list(dict.fromkeys((row.patch, row.setting) for row in rows if is_score(row)))
    if not settings or not references:
        raise ReferencesError(
            f"there are no {split} scores {'to compare' if references else 'of tasks alone'}: give "
            "results of runs.",
            settings=["references"],
        )
    names = labels([f"{patch}, {setting}" for patch, setting in settings])
    lines = [["setting", "mean", "± over seeds", "worst difference", "task", "score"]]
    for name, (patch, setting) in zip(names, settings, strict=True):
        own = [row for row in rows if (row.patch, row.setting) == (patch, setting)]
        lines.append([name, *_figures(_scores(own, split), references, name)])
    most = 1000 * len(references)
    lines.append(
        [
            "each task alone",
            *(f"{100 * statistics.fmean(references.values()):.2f}", "-", "0.00", "-"),
            f"{AS_ALONE * len(references)}",
        ]
    )
    title = (
        f"Scores on {split} in %, differences in points to each task alone, score up to {most:,}"
    )
    return f"{title}\n{grid(lines, below=1)}"


def score(errors: Mapping[str, float], alone: Mapping[str, float]) -> float:
    """In the Decathlon's manner; both are errors in [0, 1] by task.

    A task without error alone gives `AS_ALONE` where it has none here either, else nothing.

    >>> score({"a": 0.2, "b": 0.0}, {"a": 0.2, "b": 0.1})
    1250.0
    """
    total = 0.0
    for task, reference in alone.items():
        highest = 2 * reference
        if highest:
            total += 1000 * (max(0.0, highest - errors[task]) / highest) ** 2
        elif errors[task] <= 0:
            total += AS_ALONE
    return total


def labels(settings: Sequence[str]) -> list[str]:
    """Each setting by what not all have; what was varied alone stands after the last semicolon.

    >>> labels(["64 px, uniform, pcgrad; as given", "64 px, uniform; as given"])
    ['pcgrad', 'as given']
    """
    parts = [[part.strip() for part in whole(text.split(";")[0].split(","))] for text in settings]
    common = set(parts[0]).intersection(*parts)
    varied = [text.partition(";")[2].strip() for text in settings]
    return [
        ", ".join(part for part in own if part not in common) or name or "as given"
        for own, name in zip(parts, varied, strict=True)
    ]


def _figures(
    scores: Mapping[str, Sequence[float]], references: Mapping[str, float], name: str
) -> list[str]:
    if scores.keys() != references.keys():
        odd = ", ".join(sorted(scores.keys() ^ references.keys()))
        raise ReferencesError(
            f"{name}: not both in the results and among the tasks alone: {odd}.",
            settings=["references"],
        )
    by_task = {task: statistics.fmean(values) for task, values in scores.items()}
    means = [statistics.fmean(one) for one in zip(*scores.values(), strict=False)]
    worst = min(by_task, key=lambda task: by_task[task] - references[task])
    errors = {task: 1 - value for task, value in by_task.items()}
    alone = {task: 1 - value for task, value in references.items()}
    return [
        f"{100 * statistics.fmean(by_task.values()):.2f}",
        f"{100 * statistics.stdev(means):.2f}" if len(means) > 1 else "-",
        f"{100 * (by_task[worst] - references[worst]):+.2f}",
        worst,
        f"{score(errors, alone):.0f}",
    ]


def _scores(rows: Sequence[Measurement], split: str) -> dict[str, list[float]]:
    """Of each task, one a seed, in the order of seeds."""
    found: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: row.seed):
        if row.split == split and is_score(row):
            found.setdefault(row.task, []).append(row.value)
    return found


def _tested(rows: Sequence[Measurement]) -> bool:
    tested = {row.task for row in rows if row.split == "test" and is_score(row)}
    return tested == {row.task for row in rows if is_score(row)}
