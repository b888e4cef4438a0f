"""One class of several: softmax over the labels.

Target `label`: the class's number, -1 where it is hidden. The score is the fraction of images whose
class was predicted. Beside it stand the mean recall of the classes, which a rare class moves as
much as a common one, and the fraction that the commonest class alone would have got right.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters.heads import linear
from adapters.heads.assessment import (
    Assessment,
    balanced_accuracy,
    majority_baseline,
    pair_counts,
)
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
from adapters.view import View

LABEL, TEACHER, SHARES = "label", "teacher", "log_shares"
_SHARPEST, _FLATTEST, _HALVINGS = 1e-3, 1e3, 60  # of a temperature, and of the search for it
BALANCED, BASELINE = "balanced accuracy", "majority baseline"


def classification() -> Head:
    """A classifier; `Answer.label` is the most probable class."""
    return Head(
        kind="classification",
        settings={},
        computes=linear.COMPUTES,
        taps=linear.TAPS,
        together="wide",
        shapes=linear.shapes,
        channels=linear.channels,
        targets={LABEL: Target("int32", per="image")},
        least=2,
        metric=Metric("accuracy", _no_counts, _counted, _shares_found),
        apply=linear.apply,
        loss=_loss,
        figures=_figures,
        decode=_decode,
        listed=_listed,
        soft_targets=lambda predictions: softmax(predictions[LOGITS]),
        scaled=_scaled,
        balanced=_balanced,
        assess=_assessment,
    )


def cross_entropy(
    logits: Any, label: Any, own: Any, smoothing: float, log_shares: Any = None
) -> Any:
    """Softmax cross-entropy of one example, in nats.

    Args:
      logits: [rows], masked outside the task's own.
      label: row of the right class, int32 scalar.
      own: [rows], True on the task's own rows.
      smoothing: probability spread evenly over the task's classes (Szegedy et al.,
        arXiv 1512.00567, section 7).
      log_shares: [rows], logarithms of how often the classes occur, to learn as if each came as
        often (the logit-adjusted loss of Menon et al., arXiv 2007.07314): what the logits have
        to add to what is known without the image. Smoothing is of the logits alone: of both
        together it would outweigh a share below it, and rare classes would always win (our
        reconstruction).
    """
    import jax
    import jax.numpy as jnp

    log_probabilities = jax.nn.log_softmax(logits)
    if log_shares is None:
        right = log_probabilities[label]
    else:
        right = jax.nn.log_softmax(logits + log_shares)[label]
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
    return pair_counts(labels, predictions, classes)


def temperature(logits: Array, labels: Array) -> float:
    """What logits are divided by so that probabilities are right: of the least cross-entropy.

    Guo, Pleiss, Sun, Weinberger, arXiv 1706.04599, section 4.2. Of N examples one further is
    counted whose class is any, so that N right answers do not make it 0 (our reconstruction of
    what Platt, "Probabilistic Outputs for Support Vector Machines", 1999, does for two classes).

    Args:
      logits: [N, classes].
      labels: [N], the right classes.
    """
    logits, unknown = np.asarray(logits, np.float64), 1 / (len(labels) + 1)
    right = np.take_along_axis(logits, labels[:, None], axis=1)
    wanted = (1 - unknown) * right.sum() + unknown * logits.mean(axis=1).sum()
    low, high = _SHARPEST, _FLATTEST
    for _ in range(_HALVINGS):
        middle = np.sqrt(low * high)
        # Falls as the temperature rises; the cross-entropy is least where it is what is wanted.
        expected = np.sum(softmax(logits / middle) * logits)
        low, high = (middle, high) if expected > wanted else (low, middle)
    return float(np.sqrt(low * high))


def softmax(logits: Array) -> Array:
    """Probabilities [..., classes] of logits of that shape."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _loss(
    predictions: Arrays, targets: Arrays, own: Any, smoothing: float, distillation: float
) -> dict[str, Any]:
    hard = cross_entropy(predictions[LOGITS], targets[LABEL], own, smoothing, targets.get(SHARES))
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


def _shares_found(counts: Array) -> dict[str, Figure]:
    total = int(counts.sum())
    if total == 0:
        raise TargetError("accuracy of no examples is undefined.")
    return {
        "accuracy": Figure(float(np.trace(counts)) / total, "fraction"),
        BALANCED: Figure(balanced_accuracy(counts), "fraction"),
        BASELINE: Figure(majority_baseline(counts), "fraction"),
    }


def _balanced(training: Arrays, outputs: int) -> Head:
    counts = np.bincount(np.asarray(training[LABEL]), minlength=outputs)
    # A class without examples is treated as one of a single example.
    log_shares = np.log(np.maximum(counts, 1) / counts.sum()).astype(np.float32)

    def with_shares(targets: Arrays) -> Arrays:
        return {**targets, SHARES: np.tile(log_shares, (len(targets[LABEL]), 1))}

    return classification()._replace(standardised=with_shares)


def _scaled(weights: Arrays, predictions: Arrays, targets: Arrays) -> dict[str, Array]:
    divisor = temperature(predictions[LOGITS], np.asarray(targets[LABEL]))
    own = {name: (weights[name] / divisor).astype(weights[name].dtype) for name in ("w", "b")}
    return {**weights, **own}


def _assessment(labels: Sequence[str], predictions: Arrays, targets: Arrays) -> Assessment:
    logits = np.asarray(predictions[LOGITS])
    return Assessment(
        tuple(labels),
        tuple(np.asarray(targets[LABEL]).tolist()),
        tuple(logits.argmax(axis=-1).tolist()),
        tuple(softmax(logits.astype(np.float64)).max(axis=-1).tolist()),
    )


def _shares(predictions: Arrays) -> Array:
    finite(predictions)
    return softmax(predictions[LOGITS].astype(np.float64))


def _decode(labels: Sequence[str], predictions: Arrays) -> Answer:
    shares = _shares(predictions)
    order = np.argsort(-shares, kind="stable")
    return Answer(labels[order[0]], {labels[index]: float(shares[index]) for index in order})


def _listed(labels: Sequence[str], predictions: Arrays, view: View) -> list[dict[str, Any]]:
    del view
    shares, logits = _shares(predictions), predictions[LOGITS]
    return [
        {
            "label": labels[index],
            "probability": float(shares[index]),
            "logit": float(logits[index]),
        }
        for index in np.argsort(-logits, kind="stable")
    ]
