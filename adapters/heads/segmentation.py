"""A class for every pixel: softmax over the labels, pixel by pixel.

Two maps of the network are read, each by a 1x1 convolution of the task's own; the coarser one's
scores are enlarged and added to the finer one's. That is the skip of Long, Shelhamer, Darrell,
"Fully Convolutional Networks for Semantic Segmentation", arXiv 1411.4038, section 4.2, and, where
`high` names a neck's map, the end of LR-ASPP (Howard et al., "Searching for MobileNetV3",
arXiv 1905.02244, section 5.4). Or one map is read, as DeepLab and MOSAIC do.

Target `classes`: [H, W], the number of each pixel's class, -1 where a pixel does not count. The
score is the mean over classes of intersection over union (mIoU), of all pixels of a split together;
beside it stands the same of the pixels near outlines alone (see `adapters.heads.boundaries`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from adapters.heads.boundaries import boundary_counts
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
from adapters.heads.runs import runs
from adapters.resizing import resized
from adapters.view import View

CLASSES, TEACHER = "classes", "teacher"
IGNORED = -1
_MASKED = -1e9  # as in `adapters.heads.wide`


def segmentation(low: str | None = "stride_8", high: str = "stride_16") -> Head:
    """A class for every pixel; `Regions.shares` says how much of an image each label covers.

    Args:
      low, high: names of maps, see `adapters.backbones.taps`: scores are as fine as `low`. None:
        `high` alone is read.

    Raises HeadSettingError where both are one map.
    """
    if type(high) is not str or not (low is None or type(low) is str) or low == high:
        raise HeadSettingError(
            f"low and high must name two maps, or low be none; they are {low!r} and {high!r}."
        )
    read = {"high": high} if low is None else {"low": low, "high": high}

    def shapes(channels: Mapping[str, int], outputs: int) -> dict[str, Shape]:
        return {leaf: (channels[name], outputs) for leaf, name in read.items()} | {"b": (outputs,)}

    def channels(shapes: Mapping[str, Shape]) -> dict[str, int]:
        return {name: shapes[leaf][0] for leaf, name in read.items()}

    def apply(weights: Arrays, taps: Arrays) -> dict[str, Any]:
        first, *others = (_scores(taps[name], weights[leaf]) for leaf, name in read.items())
        scores = first + weights["b"].reshape((1,) * (first.ndim - 1) + (-1,))
        for coarse in others:
            scores = scores + resized(coarse, *first.shape[-3:-1])
        return {LOGITS: scores}

    given = {"low": low, "high": high}
    settings = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
    return Head(
        kind="segmentation",
        settings=settings,
        computes=computed_by("segmentation", settings),
        taps=tuple(read.values()),
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


class _Counts(NamedTuple):
    """Pixels of each class that were taken for each, [C, C], and `boundaries.boundary_counts`."""

    confusions: Array
    outlines: Array


def _no_counts(outputs: int) -> _Counts:
    return _Counts(np.zeros((outputs, outputs), np.int64), np.zeros((outputs, 2), np.int64))


def _counted(counts: _Counts, predictions: Arrays, targets: Arrays) -> _Counts:
    confusions, outlines = counts
    outputs = len(confusions)
    for logits, given in zip(predictions[LOGITS], targets[CLASSES], strict=True):
        truth = np.asarray(given)
        known = truth != IGNORED
        guess = resized(np.asarray(logits), *truth.shape).argmax(axis=-1)
        confusions = confusions + confusion_counts(truth[known], guess[known], outputs)
        outlines = outlines + boundary_counts(truth, guess, known, outputs)
    return _Counts(confusions, outlines)


def _figures_of(counts: _Counts) -> dict[str, Figure]:
    """Classes that no pixel has, and that none was taken for, are left out of the means.

    Where no pixel that counts is near an outline, none is wrong there: boundary IoU is 1.
    """
    confusions = counts.confusions
    if not confusions.sum():
        raise TargetError("intersection over union of no examples is undefined.")
    hits = np.diag(confusions).astype(np.float64)
    union = confusions.sum(axis=0) + confusions.sum(axis=1) - hits
    seen = union > 0
    both, either = counts.outlines[counts.outlines[:, 1] > 0].T
    return {
        "mIoU": Figure(float((hits[seen] / union[seen]).mean()), "fraction"),
        "boundary IoU": Figure(float((both / either).mean()) if len(either) else 1.0, "fraction"),
        "pixel accuracy": Figure(float(hits.sum() / confusions.sum()), "fraction"),
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
