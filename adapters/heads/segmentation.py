"""A class for every pixel: softmax over the labels, pixel by pixel.

Two maps of the network are read, each by a 1x1 convolution of the task's own; the coarser one's
scores are enlarged and added to the finer one's. That is the skip of Long, Shelhamer, Darrell,
"Fully Convolutional Networks for Semantic Segmentation", arXiv 1411.4038, section 4.2, and, where
`high` names a neck's map, the end of LR-ASPP (Howard et al., "Searching for MobileNetV3",
arXiv 1905.02244, section 5.4).

Target `classes`: [H, W], the number of each pixel's class, -1 where a pixel does not count. The
score is the mean over classes of intersection over union (mIoU), of all pixels of a split together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adapters.heads.classification import confusion_counts, softmax
from adapters.heads.contract import (
    Array,
    Arrays,
    Figure,
    Head,
    HeadSettingError,
    Metric,
    Regions,
    Shape,
    Target,
    TargetError,
    computed_by,
    finite,
)
from adapters.heads.linear import LOGITS
from adapters.heads.resizing import resized
from adapters.heads.runs import runs
from adapters.view import View

CLASSES, TEACHER = "classes", "teacher"
IGNORED = -1
_MASKED = -1e9  # as in `adapters.heads.wide`


def segmentation(low: str = "stride_8", high: str = "stride_16") -> Head:
    """A class for every pixel; `Regions.shares` says how much of an image each label covers.

    Args:
      low, high: names of maps, see `adapters.backbones.taps`: scores are as fine as `low`.

    Raises HeadSettingError where both are one map.
    """
    if not (type(low) is str and type(high) is str) or low == high:
        raise HeadSettingError(f"low and high must name two maps; they are {low!r} and {high!r}.")

    def shapes(channels: Mapping[str, int], outputs: int) -> dict[str, Shape]:
        return {
            "low": (channels[low], outputs),
            "high": (channels[high], outputs),
            "b": (outputs,),
        }

    def channels(shapes: Mapping[str, Shape]) -> dict[str, int]:
        return {low: shapes["low"][0], high: shapes["high"][0]}

    def apply(weights: Arrays, taps: Arrays) -> dict[str, Any]:
        fine, coarse = _scores(taps[low], weights["low"]), _scores(taps[high], weights["high"])
        height, width = fine.shape[-3:-1]
        bias = weights["b"].reshape((1,) * (fine.ndim - 1) + (-1,))
        return {LOGITS: fine + resized(coarse, height, width) + bias}

    given = {"low": low, "high": high}
    settings = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
    return Head(
        kind="segmentation",
        settings=settings,
        computes=computed_by("segmentation", settings),
        taps=(low, high),
        together="padded",
        shapes=shapes,
        channels=channels,
        targets={CLASSES: Target("int32", per="pixel")},
        least=2,
        metric=Metric("mIoU", _no_counts, _counted, _figures_of),
        apply=apply,
        loss=_loss,
        figures=lambda predictions, targets, own: {},
        decode=_decode,
        listed=_listed,
        ranked=False,
        mask=_mask,
        soft_targets=lambda predictions: softmax(predictions[LOGITS]),
        check_targets=_check_targets,
    )


_DEFAULTS = {"low": "stride_8", "high": "stride_16"}


def _scores(maps: Any, weights: Any) -> Any:
    """A 1x1 convolution of maps [..., h, w, C] by [C, outputs], as one matrix product."""
    *before, channels = maps.shape
    return (maps.reshape(-1, channels) @ weights).reshape(*before, weights.shape[-1])


def _loss(
    predictions: Arrays, targets: Arrays, own: Any, smoothing: float, distillation: float
) -> dict[str, Any]:
    """Softmax cross-entropy in nats at the target's size, the mean over the pixels that count."""
    import jax
    import jax.numpy as jnp

    masked = jnp.where(own, predictions[LOGITS], jnp.float32(_MASKED))
    truth = targets[CLASSES]
    wide = jax.nn.log_softmax(resized(masked, *truth.shape))
    counts = (truth != IGNORED).astype(wide.dtype)
    right = jnp.take_along_axis(wide, jnp.maximum(truth, 0)[..., None], axis=-1)[..., 0]
    mean = jnp.sum(jnp.where(own, wide, jnp.zeros((), wide.dtype)), axis=-1)
    mean = mean / jnp.sum(own).astype(wide.dtype)
    each = -((1 - smoothing) * right + smoothing * mean)
    hard = jnp.sum(each * counts) / jnp.maximum(jnp.sum(counts), jnp.ones((), wide.dtype))
    if TEACHER not in targets:
        return {"cross_entropy": hard}
    soft = -jnp.mean(jnp.sum(targets[TEACHER] * jax.nn.log_softmax(masked), axis=-1))
    return {"cross_entropy": (1 - distillation) * hard, "distillation": distillation * soft}


def _check_targets(targets: Arrays) -> None:
    """Also of images of several sizes: a list of [H, W] is as good as [N, H, W]."""
    if not any((np.asarray(truth) != IGNORED).any() for truth in targets[CLASSES]):
        raise TargetError("no pixel of any example has a class: there is nothing to learn.")


def _no_counts(outputs: int) -> Array:
    return np.zeros((outputs, outputs), np.int64)


def _counted(counts: Array, predictions: Arrays, targets: Arrays) -> Array:
    for logits, truth in zip(predictions[LOGITS], targets[CLASSES], strict=True):
        known = np.asarray(truth) != IGNORED
        guess = resized(np.asarray(logits), *np.shape(truth)).argmax(axis=-1)
        counts = counts + confusion_counts(np.asarray(truth)[known], guess[known], len(counts))
    return counts


def _figures_of(counts: Array) -> dict[str, Figure]:
    """Classes that no pixel has, and that none was taken for, are left out of the mean."""
    if not counts.sum():
        raise TargetError("intersection over union of no examples is undefined.")
    hits = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hits
    seen = union > 0
    return {
        "mIoU": Figure(float((hits[seen] / union[seen]).mean()), "fraction"),
        "pixel accuracy": Figure(float(hits.sum() / counts.sum()), "fraction"),
    }


def _decode(labels: Sequence[str], predictions: Arrays) -> Regions:
    finite(predictions)
    logits = np.asarray(predictions[LOGITS])
    covered = np.bincount(logits.argmax(axis=-1).ravel(), minlength=len(labels))
    order = np.argsort(-covered, kind="stable")
    shares = {labels[index]: float(covered[index] / covered.sum()) for index in order}
    said = ", ".join(f"{label} {share:.0%}" for label, share in shares.items() if share)
    return Regions(said, shares, logits)


def _mask(labels: Sequence[str], predictions: Arrays, view: View) -> Array:
    return _decode(labels, predictions).mask(view)


def _listed(labels: Sequence[str], predictions: Arrays, view: View) -> list[dict[str, Any]]:
    said = _decode(labels, predictions)
    mask = said.mask(view)
    return [
        {"label": label, "share": share, "segmentation": runs(mask == labels.index(label))}
        for label, share in said.shares.items()
    ]
