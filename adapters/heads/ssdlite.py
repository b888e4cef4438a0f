"""Boxes around objects, each with its class: SSDLite, by torchvision's or TensorFlow's anchors.

Liu et al., "SSD", arXiv 1512.02325, with the predictors of Sandler et al., "MobileNetV2",
arXiv 1801.04381, section 6.2. Every cell of each map has anchors; of each, softmax tells its class
or that it is nothing, or a sigmoid whether it is of a class, and four offsets tell the box. The
maps but for the backbone's own are those of the necks `ssdlite` and `ssd`.

Target `objects`: [MOST_OBJECTS, 5], left, top, right and bottom in parts of the sides of the
network's image, and the class's number; -1 in rows that only fill up. The score is COCO's average
precision (AP).
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from adapters.heads.classification import softmax
from adapters.heads.contract import Arrays, Head, HeadSettingError, Shape
from adapters.heads.detection import predictors
from adapters.heads.detection.anchors import CONVENTIONS, placed, sides_of
from adapters.heads.detection.detections import (
    ANCHORS,
    LOGITS,
    OFFSETS,
    Detections,
    detections,
)
from adapters.heads.detection.detector import detector
from adapters.heads.multilabel import sigmoid

NECK = ("neck_02", "neck_04", "neck_06", "neck_08")
SOFTMAX, SIGMOID = "softmax", "sigmoid"
_MASKED = -1e9  # as in `adapters.heads.wide`


def ssdlite(
    maps: int = 6,
    finest: int = 16,
    coarsest: int = 32,
    smallest: float = 0.2,
    largest: float = 0.95,
    anchors: str = "torchvision",
    threshold: float | None = None,
    width: int | None = None,
    scores: str = SOFTMAX,
) -> Head:
    """Boxes around objects; by default as torchvision's SSDLite, of six maps.

    Args:
      maps: how many are read, from the finest on: the expansion that leads from each stride to the
        next, the backbone's last map, and those of the neck.
      finest: stride of the first, in pixels of the image.
      coarsest: stride of the backbone's last map.
      smallest, largest: scales of the first map's anchors and of the last's, in parts of the
        image's side.
      anchors: a convention, `torchvision` or `tensorflow`.
      threshold: how sure a box has to be to be an answer, from 0 to 1; by default what has the best
        F1 on validation, and 0.5 before there is one.
      width: how many sums of a map's channels predictors read, in place of the channels: a file is
        a fraction as large. By default, as published, the channels themselves.
      scores: `softmax` over nothing and all classes, as torchvision has them, or `sigmoid` of each
        class, as TensorFlow.

    Raises HeadSettingError.
    """
    strides = [2**power for power in range(1, 8)]
    both = (finest, coarsest)
    if not all(type(one) is int and one in strides for one in both) or finest > coarsest:
        raise HeadSettingError(
            f"finest and coarsest are {finest!r} and {coarsest!r}; they must be powers of two from "
            f"{strides[0]} to {strides[-1]}, the finest the smaller."
        )
    own = [f"stride_{stride}/expand" for stride in strides if finest <= stride < coarsest]
    names = (*own, f"stride_{coarsest}", *NECK)
    if type(maps) is not int or not 1 <= maps <= len(names):
        raise HeadSettingError(
            f"maps is {maps!r}; from stride {finest} on it is 1 to {len(names)}."
        )
    if not all(type(value) in (int, float) for value in (smallest, largest)):
        raise HeadSettingError("smallest and largest must be numbers.")
    if not 0 < smallest <= largest <= 1:
        raise HeadSettingError(
            f"smallest and largest are {smallest} and {largest}; it must be 0 < smallest <= "
            "largest <= 1."
        )
    if anchors not in CONVENTIONS:
        raise HeadSettingError(f"anchors is {anchors!r}; it must be {' or '.join(CONVENTIONS)}.")
    if width is not None and (type(width) is not int or not 1 <= width <= 1024):
        raise HeadSettingError(f"width is {width!r}; it must be from 1 to 1024.")
    if scores not in (SOFTMAX, SIGMOID):
        raise HeadSettingError(f"scores is {scores!r}; it must be {SOFTMAX} or {SIGMOID}.")
    nothing = int(scores == SOFTMAX)
    taps = names[:maps]
    sides = sides_of(anchors, maps, smallest, largest)

    def shapes(channels: Mapping[str, int], outputs: int) -> dict[str, Shape]:
        widths = [channels[name] for name in taps]
        return predictors.shapes(widths, [len(one) for one in sides], nothing + outputs, width)

    def channels(shapes: Mapping[str, Shape]) -> dict[str, int]:
        return dict(zip(taps, predictors.channels(shapes, maps), strict=True))

    def apply(weights: Arrays, read: Arrays) -> dict[str, Any]:
        seen = [read[name] for name in taps]
        space, before = seen[0].__array_namespace__(), seen[0].shape[:-3]
        around = placed(sides, [one.shape[-3:-1] for one in seen])
        return {
            LOGITS: predictors.predicted(weights, seen, predictors.CLASSES),
            OFFSETS: predictors.predicted(weights, seen, predictors.BOXES),
            ANCHORS: space.broadcast_to(space.asarray(around), (*before, *around.shape)),
        }

    given: dict[str, Any] = {
        **{"maps": maps, "finest": finest, "coarsest": coarsest},
        **{"smallest": smallest, "largest": largest},
        **{"anchors": anchors, "threshold": threshold, "width": width},
        "scores": scores,
    }
    return detector(
        *(ssdlite, given, _DEFAULTS, _FINDS[scores]),
        taps=taps,
        shapes=shapes,
        channels=channels,
        apply=apply,
        loss=functools.partial(_loss, _COSTS[scores]),
        initial=predictors.initial,
        begun=functools.partial(predictors.begun, before=nothing),
    )


_DEFAULTS: dict[str, Any] = {
    **{"maps": 6, "finest": 16, "coarsest": 32, "smallest": 0.2, "largest": 0.95},
    **{"anchors": "torchvision", "threshold": None, "width": None, "scores": SOFTMAX},
}


def _found_by_softmax(predictions: Arrays) -> Detections:
    return detections(predictions, softmax(np.asarray(predictions[LOGITS]))[:, 1:])


def _found_by_sigmoid(predictions: Arrays) -> Detections:
    return detections(predictions, sigmoid(np.asarray(predictions[LOGITS])))


def _loss(
    costs: Callable[[Any, Any, Any, Any, float], Any],
    predictions: Arrays,
    targets: Arrays,
    own: Any,
    smoothing: float,
    distillation: float,
) -> dict[str, Any]:
    """Cross-entropy in nats with hard negative mining, and smooth L1 of the offsets."""
    del distillation
    from adapters.heads.detection import losses
    from adapters.heads.detection.matched import matched

    positive, classes, offsets = matched(predictions, targets)
    told = costs(predictions[LOGITS], positive, classes, own, smoothing)
    return {
        "classes": losses.mined_loss(told, positive),
        "boxes": losses.box_loss(predictions[OFFSETS], offsets, positive),
    }


def _softmax_costs(logits: Any, positive: Any, classes: Any, own: Any, smoothing: float) -> Any:
    """Of each anchor [A], over nothing and the task's own classes."""
    import jax
    import jax.numpy as jnp

    columns = jnp.concatenate([jnp.ones(1, bool), own])[None]
    told = jax.nn.log_softmax(jnp.where(columns, logits, jnp.float32(_MASKED)))
    truth = jnp.where(positive, classes + 1, 0)
    right = jnp.take_along_axis(told, truth[:, None], axis=-1)[:, 0]
    mean = jnp.sum(jnp.where(columns, told, jnp.zeros((), told.dtype)), axis=-1)
    mean = mean / jnp.sum(columns).astype(told.dtype)
    return -((1 - smoothing) * right + smoothing * mean)


def _sigmoid_costs(logits: Any, positive: Any, classes: Any, own: Any, smoothing: float) -> Any:
    """Of each anchor [A], the sum over the task's own classes, which know no smoothing."""
    del smoothing
    import jax
    import jax.numpy as jnp

    wanted = jax.nn.one_hot(classes, logits.shape[-1], dtype=bool) & positive[:, None]
    costs = jax.nn.softplus(jnp.where(wanted, -logits, logits))
    return jnp.sum(jnp.where(own[None], costs, jnp.zeros((), costs.dtype)), axis=-1)


_FINDS = {SOFTMAX: _found_by_softmax, SIGMOID: _found_by_sigmoid}
_COSTS = {SOFTMAX: _softmax_costs, SIGMOID: _sigmoid_costs}
