"""Any number of labels at once: a sigmoid each.

Target `labels`: 1 where a label holds and 0 where not, [outputs]. The score is the mean over labels
of the average precision (the area under precision against recall, in steps), which needs no
threshold; the thresholds that answers go by are those of the best F1 on validation, label by label.
Beside it stands the score of who says the same of every image: the mean share of images that a
label holds of.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters.heads import linear
from adapters.heads.contract import (
    Answer,
    Array,
    Arrays,
    Figure,
    Head,
    HeadSettingError,
    Metric,
    Target,
    TargetError,
    finite,
)
from adapters.heads.linear import LOGITS
from adapters.view import View

LABELS, TEACHER = "labels", "teacher"
_LEAST, _MOST = 1e-6, 1 - 1e-6  # of a threshold: some label can hold, and some not


def multilabel(thresholds: Sequence[float] | None = None) -> Head:
    """Independent labels; `Answer.label` joins those that hold with " + ", or says "none".

    Args:
      thresholds: the probability from which each label holds, chosen on validation; 0.5 before.

    Raises HeadSettingError for a threshold outside of 0..1.
    """
    if thresholds is not None and not all(
        type(each) is float and 0 < each < 1 for each in thresholds
    ):
        raise HeadSettingError("thresholds must be numbers between 0 and 1.")

    def limits(outputs: int) -> Array:
        if thresholds is None:
            return np.full(outputs, 0.5)
        if len(thresholds) != outputs:
            raise HeadSettingError(f"{len(thresholds)} thresholds do not fit {outputs} labels.")
        return np.asarray(thresholds)

    def check(outputs: int) -> None:
        limits(outputs)

    def decode(labels: Sequence[str], predictions: Arrays) -> Answer:
        rows = told(labels, predictions)
        held = " + ".join(row["label"] for row in rows if row["holds"])
        return Answer(held or "none", {row["label"]: row["probability"] for row in rows})

    def listed(labels: Sequence[str], predictions: Arrays, view: View) -> list[dict[str, Any]]:
        del view
        return told(labels, predictions)

    def told(labels: Sequence[str], predictions: Arrays) -> list[dict[str, Any]]:
        finite(predictions)
        shares = sigmoid(predictions[LOGITS])
        least = limits(len(labels))
        return [
            {
                "label": labels[index],
                "probability": float(shares[index]),
                "holds": bool(shares[index] >= least[index]),
            }
            for index in np.argsort(-shares, kind="stable")
        ]

    def result(state: _Seen) -> dict[str, Figure]:
        if not state:
            raise TargetError("precision of no examples is undefined.")
        logits, truth = (np.concatenate(parts) for parts in zip(*state, strict=True))
        held = sigmoid(logits) >= limits(logits.shape[1])
        found = [
            average_precision(logits[:, index], truth[:, index])
            for index in range(logits.shape[1])
            if truth[:, index].any()
        ]
        if not found:
            raise TargetError("no example has any of the labels: there is nothing to find.")
        return {
            "mean average precision": Figure(float(np.mean(found)), "fraction"),
            "F1": Figure(_f1(held, truth), "fraction"),
            "all labels right": Figure(float((held == truth).all(axis=1).mean()), "fraction"),
            "constant baseline": Figure(
                float(truth.mean(axis=0)[truth.any(axis=0)].mean()), "fraction"
            ),
        }

    return Head(
        kind="multilabel",
        settings={} if thresholds is None else {"thresholds": list(thresholds)},
        computes=linear.COMPUTES,
        taps=linear.TAPS,
        together="wide",
        shapes=linear.shapes,
        channels=linear.channels,
        targets={LABELS: Target("float32", per="output")},
        least=1,
        metric=Metric("mean average precision", lambda outputs: (), _seen, result),
        apply=linear.apply,
        loss=_loss,
        figures=lambda predictions, targets, own: {},
        decode=decode,
        listed=listed,
        soft_targets=lambda predictions: sigmoid(predictions[LOGITS]),
        check=check,
        check_targets=_check_targets,
        after_validation=_with_thresholds,
    )


def average_precision(scores: Array, truth: Array) -> float:
    """The sum over recalls of the precision there times the step in recall.

    Equal scores are one step, whatever their order.

    Args:
      scores: [N].
      truth: [N], 1 or 0; one at least is 1.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(truth[order] > 0)[ends]
    precision, recall = found / (ends + 1), found / found[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def best_threshold(shares: Array, truth: Array) -> float:
    """The probability from which a label holds, of the best F1; between two that were seen.

    Where no example has the label, nothing can be chosen: 0.5.

    Args:
      shares: [N] probabilities.
      truth: [N], 1 or 0.
    """
    if not truth.any():
        return 0.5
    order = np.argsort(-shares, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(shares[order])), len(shares) - 1)
    found = np.cumsum(truth[order] > 0)[ends]
    f1 = 2 * found / (ends + 1 + truth.sum())
    best = int(ends[np.argmax(f1)])
    below = shares[order[best + 1]] if best + 1 < len(shares) else 0.0
    return float(np.clip((shares[order[best]] + below) / 2, _LEAST, _MOST))


def sigmoid(logits: Array) -> Array:
    """Probabilities, float64, of logits of that shape."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float64)))


def _loss(
    predictions: Arrays, targets: Arrays, own: Any, smoothing: float, distillation: float
) -> dict[str, Any]:
    """Sigmoid cross-entropy in nats, the mean over the task's own labels."""
    import jax
    import jax.numpy as jnp

    logits = predictions[LOGITS]

    def mean(truth: Any) -> Any:
        each = jax.nn.softplus(logits) - truth * logits
        return jnp.sum(jnp.where(own, each, jnp.zeros((), each.dtype))) / jnp.sum(own).astype(
            each.dtype
        )

    hard = mean((1 - smoothing) * targets[LABELS] + 0.5 * smoothing)
    if TEACHER not in targets:
        return {"cross_entropy": hard}
    soft = mean(targets[TEACHER])
    return {"cross_entropy": (1 - distillation) * hard, "distillation": distillation * soft}


_Seen = tuple[tuple[Array, Array], ...]  # logits and truths [n, outputs], batch by batch


def _held(targets: Arrays) -> Array:
    """[N, outputs], True where a label holds."""
    truth = np.asarray(targets[LABELS])
    if not np.isin(truth, (0, 1)).all():
        odd = truth[~np.isin(truth, (0, 1))][0]
        raise TargetError(f"labels hold or do not, 1 or 0 each; one is {odd:g}.")
    return truth > 0


def _check_targets(targets: Arrays) -> None:
    if not _held(targets).any():
        raise TargetError("no example has any of the labels: there is nothing to find.")


def _seen(state: _Seen, predictions: Arrays, targets: Arrays) -> _Seen:
    return (*state, (np.asarray(predictions[LOGITS]), _held(targets)))


def _f1(held: Array, truth: Array) -> float:
    """Of all answers together: 2 true positives over all that was said and all that holds."""
    said = held.sum() + truth.sum()
    return float(2 * (held & truth).sum() / said) if said else 1.0


def _with_thresholds(predictions: Arrays, targets: Arrays) -> Head:
    shares, truth = sigmoid(predictions[LOGITS]), np.asarray(targets[LABELS])
    return multilabel(
        [best_threshold(shares[:, index], truth[:, index]) for index in range(truth.shape[1])]
    )
