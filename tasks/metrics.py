"""How predictions are scored: pure functions of counts, which add up over batches and hosts."""

from collections.abc import Callable

import numpy as np

Metric = Callable[[np.ndarray], float]


def accuracy(confusion: np.ndarray) -> float:
    """Returns the fraction of examples whose class was predicted, in [0, 1].

    confusion: counts `[classes, classes]`, row: the true class, column: the predicted one.
    Raises ValueError when nothing was counted.
    """
    total = int(confusion.sum())
    if total == 0:
        raise ValueError("accuracy of no examples is undefined")
    return float(np.trace(confusion)) / total


def confusion_counts(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Counts how often each class (row) was predicted to be each (column): `[classes, classes]`.

    labels, predictions: integers `[N]` in 0..classes-1.
    Raises ValueError when a label or prediction is outside that range (a hidden label is -1).
    """
    for values in (labels, predictions):
        if values.size and (values.min() < 0 or values.max() >= classes):
            raise ValueError(
                f"classes must lie in 0..{classes - 1}; found {values.min()}..{values.max()}"
            )
    pairs = labels.astype(np.int64) * classes + predictions.astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


METRICS: dict[str, Metric] = {"accuracy": accuracy}
