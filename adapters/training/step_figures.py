"""What steps gave, as logs and terminals are told: by task, by tag, in a line."""

from collections.abc import Mapping, Sequence

import numpy as np

from adapters.heads.together import TaskHeads
from adapters.training.report import named, one_score
from adapters.training.state import Metrics


def by_task(tasks: np.ndarray, metrics: Metrics) -> dict[int, dict[str, float]]:
    """Means over each present task's groups."""
    by_group = {"loss": np.asarray(metrics.loss)}
    by_group |= {name: np.asarray(values) for name, values in metrics.figures.items()}
    return {
        int(task): {name: float(each[tasks == task].mean()) for name, each in by_group.items()}
        for task in np.unique(tasks)
    }


def trained(tasks: Sequence[str], figures: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """By tag, what `by_task` gives."""
    return {
        f"train/{name}/{tasks[task]}": value
        for task, values in figures.items()
        for name, value in values.items()
    }


def scored(tasks: Sequence[str], heads: TaskHeads, scores: Mapping[str, float]) -> dict[str, float]:
    """By tag, each task's score on validation."""
    metrics = _metrics(tasks, heads)
    return {f"validation/{metrics[task]}/{task}": score for task, score in scores.items()}


def summary(step: int, tasks: Sequence[str], heads: TaskHeads, scores: Mapping[str, float]) -> str:
    """The scores on validation in a line, with their mean where all are of one metric."""
    metrics = _metrics(tasks, heads)
    metric = one_score(metrics.values())
    if metric is None:
        own = (f"{named(task, metrics[task])} {100 * score:.1f}" for task, score in scores.items())
        return f"step {step}: validation in %: {', '.join(own)}"
    mean = sum(scores.values()) / len(scores)
    each = ", ".join(f"{task} {100 * score:.1f}" for task, score in scores.items())
    return f"step {step}: validation {metric} {100 * mean:.2f} % ({each})"


def _metrics(tasks: Sequence[str], heads: TaskHeads) -> dict[str, str]:
    """What each task is scored by."""
    return {task: head.metric.score for task, head in zip(tasks, heads.heads, strict=True)}
