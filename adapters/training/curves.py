"""The figures of a run by task, as its log has them, against steps."""

import math
from collections.abc import Sequence

from adapters.training import metrics

LOSS, SHARE, WEIGHT = "train/loss/", "train/share/", "train/weight/"
VALIDATION = "validation/"  # then what is scored
_SMOOTHING = 0.9


def series(
    records: Sequence[metrics.Record], prefix: str
) -> dict[str, tuple[list[int], list[float]]]:
    """`{task: (steps, values)}` of the tags that begin with `prefix` and end with a task."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for step, values in records:
        for tag, value in values.items():
            if tag.startswith(prefix):
                steps, numbers = found.setdefault(tag.rpartition("/")[2], ([], []))
                steps.append(step)
                numbers.append(value)
    return found


def smooth(values: Sequence[float]) -> list[float]:
    """The exponential mean of the finite values so far, without a bias to the start."""
    smoothed, total, weight = [], 0.0, 0.0
    for value in values:
        if math.isfinite(value):
            total = _SMOOTHING * total + (1 - _SMOOTHING) * value
            weight = _SMOOTHING * weight + (1 - _SMOOTHING)
        smoothed.append(total / weight if weight else math.nan)
    return smoothed
