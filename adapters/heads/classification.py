"""One class of several: softmax over the labels.

Target `label`: the class's number, -1 where it is hidden. The score is the fraction of images whose
class was predicted.
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
    Metric,
    Target,
    TargetError,
    finite,
)
from adapters.heads.linear import LOGITS

LABEL, TEACHER = "label", "teacher"


def classification() -> Head:
    """A classifier; `Answer.label` is the most probable class."""
    return Head(
        kind="classification",
        settings={},
        taps=linear.TAPS,
        together="wide",
        shapes=linear.shapes,
        channels=linear.channels,
        targets={LABEL: Target("int32", per="image")},
        least=2,
        metric=Metric("accuracy", _no_counts, _counted, _accuracy),
        apply=linear.apply,
        loss=_loss,
        figures=_figures,
        decode=_decode,
        listed=_listed,
        soft_targets=lambda predictions: softmax(predictions[LOGITS]),
    )


def cross_entropy(logits: Any, label: Any, own: Any, smoothing: float) -> Any:
    """Softmax cross-entropy of one example, in nats.

    Args:
      logits: [rows], masked outside the task's own.
      label: row of the right class, int32 scalar.
      own: [rows], True on the task's own rows.
      smoothing: probability spread evenly over the task's classes (Szegedy et al.,
        arXiv 1512.00567, section 7).
    """
    import jax
    import jax.numpy as jnp

    log_probabilities = jax.nn.log_softmax(logits)
    right = log_probabilities[label]
    zero = jnp.zeros((), logits.dtype)
    mean = jnp.sum(jnp.where(own, log_probabilities, zero)) / jnp.sum(own).astype(logits.dtype)
    return -((1 - smoothing) * right + smoothing * mean)


def distilled(logits: Any, teacher: Any) -> Any:
    """Cross-entropy of one example against a teacher's probabilities, in nats.

    Args:
      logits: [rows], masked outside the task's own.
      teacher: [rows], zero outside the task's own.
    """
    import jax
    import jax.numpy as jnp

    return -jnp.sum(teacher * jax.nn.log_softmax(logits))


def confusion_counts(labels: Array, predictions: Array, classes: int) -> Array:
    """Counts how often each class (row) was predicted to be each (column): `[classes, classes]`.

    Args:
      labels, predictions: integers [N] in 0..classes-1.
      classes: how many there are.

    Raises TargetError when one is outside that range (a hidden label is -1).
    """
    for values in (labels, predictions):
        if values.size and (values.min() < 0 or values.max() >= classes):
            raise TargetError(
                f"classes must lie in 0..{classes - 1}; found {values.min()}..{values.max()}."
            )
    pairs = labels.astype(np.int64) * classes + predictions.astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def softmax(logits: Array) -> Array:
    """Probabilities [..., classes] of logits of that shape."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _loss(
    predictions: Arrays, targets: Arrays, own: Any, smoothing: float, distillation: float
) -> dict[str, Any]:
    hard = cross_entropy(predictions[LOGITS], targets[LABEL], own, smoothing)
    if TEACHER not in targets:
        return {"cross_entropy": hard}
    soft = distilled(predictions[LOGITS], targets[TEACHER])
    return {"cross_entropy": (1 - distillation) * hard, "distillation": distillation * soft}


def _figures(predictions: Arrays, targets: Arrays, own: Any) -> dict[str, Any]:
    import jax.numpy as jnp

    del own
    guess = jnp.argmax(predictions[LOGITS]).astype(jnp.int32)
    return {"accuracy": (guess == targets[LABEL]).astype(jnp.float32)}


def _no_counts(outputs: int) -> Array:
    return np.zeros((outputs, outputs), np.int64)


def _counted(counts: Array, predictions: Arrays, targets: Arrays) -> Array:
    guesses = np.asarray(predictions[LOGITS]).argmax(axis=-1)
    return counts + confusion_counts(np.asarray(targets[LABEL]), guesses, len(counts))


def _accuracy(counts: Array) -> dict[str, Figure]:
    total = int(counts.sum())
    if total == 0:
        raise TargetError("accuracy of no examples is undefined.")
    return {"accuracy": Figure(float(np.trace(counts)) / total, "fraction")}


def _shares(predictions: Arrays) -> Array:
    finite(predictions)
    return softmax(predictions[LOGITS].astype(np.float64))


def _decode(labels: Sequence[str], predictions: Arrays) -> Answer:
    shares = _shares(predictions)
    order = np.argsort(-shares, kind="stable")
    return Answer(labels[order[0]], {labels[index]: float(shares[index]) for index in order})


def _listed(labels: Sequence[str], predictions: Arrays) -> list[dict[str, Any]]:
    shares, logits = _shares(predictions), predictions[LOGITS]
    return [
        {
            "label": labels[index],
            "probability": float(shares[index]),
            "logit": float(logits[index]),
        }
        for index in np.argsort(-logits, kind="stable")
    ]
