"""Numbers with a unit: one or several at once.

Target `values`: the numbers, [outputs]. The network learns them standardised by the training
split's mean and deviation, which are settings of the head and ship with the patch; answers are in
the task's unit. The score is R^2, the share of the variance that is explained: 1 is perfect, 0 is
no better than the mean, less than 0 worse.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters.heads import linear
from adapters.heads.contract import (
    Array,
    Arrays,
    Figure,
    Head,
    HeadSettingError,
    Metric,
    Target,
    TargetError,
    Values,
    finite,
)
from adapters.heads.linear import LOGITS
from adapters.view import View

VALUES, TEACHER = "values", "teacher"


def regression(
    unit: str = "",
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
) -> Head:
    """Numbers; `Values.values` holds them, and its `label` says them in words.

    Args:
      unit: of the values, `years`, say.
      mean, deviation: of each value in the training split; None until that is known: 0 and 1.

    Raises HeadSettingError for a deviation that is not above 0, or numbers that are not finite.
    """
    for name, numbers in (("mean", mean), ("deviation", deviation)):
        if numbers is not None and not all(
            type(each) is float and math.isfinite(each) for each in numbers
        ):
            raise HeadSettingError(f"the {name} must be finite numbers, one a value.")
    if deviation is not None and not all(each > 0 for each in deviation):
        raise HeadSettingError("the deviation must be above 0.")
    if (mean is None) != (deviation is None):
        raise HeadSettingError("mean and deviation belong together: give both or neither.")
    if type(unit) is not str:
        raise HeadSettingError("the unit must be a word.")
    settings: dict[str, Any] = {"unit": unit} if unit else {}
    if mean is not None and deviation is not None:
        settings |= {"mean": list(mean), "deviation": list(deviation)}

    def moments(outputs: int) -> tuple[Array, Array]:
        if mean is None or deviation is None:
            return np.zeros(outputs), np.ones(outputs)
        if not len(mean) == len(deviation) == outputs:
            raise HeadSettingError(
                f"{len(mean)} means and {len(deviation)} deviations do not fit {outputs} values."
            )
        return np.asarray(mean), np.asarray(deviation)

    def check(outputs: int) -> None:
        moments(outputs)

    def in_units(predictions: Arrays) -> Array:
        logits = np.asarray(predictions[LOGITS], np.float64)
        centre, width = moments(logits.shape[-1])
        return logits * width + centre

    def standardised(targets: Arrays) -> Arrays:
        values = np.asarray(targets[VALUES])
        centre, width = moments(values.shape[-1])
        return {**targets, VALUES: ((values - centre) / width).astype(np.float32)}

    def update(state: "_Sums", predictions: Arrays, targets: Arrays) -> "_Sums":
        truth = np.asarray(targets[VALUES], np.float64)
        if not np.isfinite(truth).all():
            raise TargetError("a value to be scored on is not finite.")
        return [*state, (in_units(predictions), truth)]

    def result(state: "_Sums") -> dict[str, Figure]:
        if not state:
            raise TargetError("the error of no examples is undefined.")
        guess, truth = (np.concatenate(parts) for parts in zip(*state, strict=True))
        spread = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
        if not (spread > 0).all():
            raise TargetError("a value is the same for all examples: nothing can be explained.")
        explained = 1 - ((guess - truth) ** 2).sum(axis=0) / spread
        return {
            "R^2": Figure(float(explained.mean()), "fraction"),
            "mean absolute error": Figure(float(np.abs(guess - truth).mean()), unit or "1"),
        }

    def listed(labels: Sequence[str], predictions: Arrays, view: View) -> list[dict[str, Any]]:
        del view
        return told(labels, predictions)

    def told(labels: Sequence[str], predictions: Arrays) -> list[dict[str, Any]]:
        finite(predictions)
        pairs = zip(labels, in_units(predictions), strict=True)
        return [{"label": label, "value": float(value), "unit": unit} for label, value in pairs]

    def decode(labels: Sequence[str], predictions: Arrays) -> Values:
        values = {row["label"]: row["value"] for row in told(labels, predictions)}
        said = ", ".join(f"{label} {value:.4g} {unit}".strip() for label, value in values.items())
        return Values(said, values, unit)

    def after_training_targets(targets: Arrays) -> Head:
        _check_targets(targets)
        values = np.asarray(targets[VALUES], np.float64)
        width = values.std(axis=0)
        return regression(unit, values.mean(axis=0).tolist(), width.tolist())

    return Head(
        kind="regression",
        settings=settings,
        computes=linear.COMPUTES,
        taps=linear.TAPS,
        together="wide",
        shapes=linear.shapes,
        channels=linear.channels,
        targets={VALUES: Target("float32", per="output")},
        least=1,
        metric=Metric("R^2", lambda outputs: [], update, result),
        apply=linear.apply,
        loss=_loss,
        figures=lambda predictions, targets, own: {},
        decode=decode,
        listed=listed,
        soft_targets=lambda predictions: np.asarray(predictions[LOGITS]),
        check=check,
        check_targets=_check_targets,
        standardised=standardised,
        after_training_targets=after_training_targets,
    )


_Sums = list[tuple[Array, Array]]  # guesses and truths [n, outputs] in the task's unit


def _check_targets(targets: Arrays) -> None:
    values = np.asarray(targets[VALUES], np.float64)
    if not np.isfinite(values).all():
        raise TargetError("a value is not finite.")
    if not (values.std(axis=0) > 0).all():
        raise TargetError("a value is the same for all examples: there is nothing to explain.")


def _loss(
    predictions: Arrays, targets: Arrays, own: Any, smoothing: float, distillation: float
) -> dict[str, Any]:
    """Huber's loss of standardised values, the mean over the task's own; smoothing means nothing.

    Quadratic up to one deviation and linear beyond, so that a few odd values do not lead (Huber,
    "Robust Estimation of a Location Parameter", 1964).
    """
    import jax.numpy as jnp

    del smoothing

    def mean(truth: Any) -> Any:
        far = jnp.abs(jnp.where(own, predictions[LOGITS] - truth, jnp.zeros_like(truth)))
        each = jnp.where(far <= 1, 0.5 * far * far, far - 0.5)
        return jnp.sum(each) / jnp.sum(own).astype(each.dtype)

    hard = mean(targets[VALUES])
    if TEACHER not in targets:
        return {"huber": hard}
    return {
        "huber": (1 - distillation) * hard,
        "distillation": distillation * mean(targets[TEACHER]),
    }
