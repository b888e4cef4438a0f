"""Boxes around objects, each with its class: SSDLite, by torchvision's or TensorFlow's anchors.

Liu et al., "SSD", arXiv 1512.02325, with the predictors of Sandler et al., "MobileNetV2",
arXiv 1801.04381, section 6.2. Every cell of each map has anchors; of each, softmax tells its class
or that it is nothing, and four offsets tell the box. The maps but for the backbone's own are those
of the neck `ssdlite`.

Target `objects`: [MOST_OBJECTS, 5], left, top, right and bottom in parts of the sides of the
network's image, and the class's number; -1 in rows that only fill up. The score is COCO's average
precision (AP).
"""

import functools
from collections.abc import Mapping
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

NECK = ("neck_02", "neck_04", "neck_06", "neck_08")
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
    taps = names[:maps]
    sides = sides_of(anchors, maps, smallest, largest)

    def shapes(channels: Mapping[str, int], outputs: int) -> dict[str, Shape]:
        widths = [channels[name] for name in taps]
        return predictors.shapes(widths, [len(one) for one in sides], 1 + outputs, width)

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
    }
    return detector(
        *(ssdlite, given, _DEFAULTS, _find),
        taps=taps,
        shapes=shapes,
        channels=channels,
        apply=apply,
        loss=_loss,
        initial=predictors.initial,
        begun=functools.partial(predictors.begun, before=1),
    )


def _find(predictions: Arrays) -> Detections:
    return detections(predictions, softmax(np.asarray(predictions[LOGITS]))[:, 1:])


_DEFAULTS: dict[str, Any] = {
    **{"maps": 6, "finest": 16, "coarsest": 32, "smallest": 0.2, "largest": 0.95},
    **{"anchors": "torchvision", "threshold": None, "width": None},
}


def _loss(
    predictions: Arrays, targets: Arrays, own: Any, smoothing: float, distillation: float
) -> dict[str, Any]:
    """Softmax cross-entropy in nats with hard negative mining, and smooth L1 of the offsets."""
    del distillation
    import jax
    import jax.numpy as jnp

    from adapters.heads.detection import losses
    from adapters.heads.detection.matched import matched

    positive, classes, offsets = matched(predictions, targets)
    columns = jnp.concatenate([jnp.ones(1, bool), own])[None]
    told = jax.nn.log_softmax(jnp.where(columns, predictions[LOGITS], jnp.float32(_MASKED)))
    truth = jnp.where(positive, classes + 1, 0)
    right = jnp.take_along_axis(told, truth[:, None], axis=-1)[:, 0]
    mean = jnp.sum(jnp.where(columns, told, jnp.zeros((), told.dtype)), axis=-1)
    mean = mean / jnp.sum(columns).astype(told.dtype)
    costs = -((1 - smoothing) * right + smoothing * mean)
    return {
        "classes": losses.mined_loss(costs, positive),
        "boxes": losses.box_loss(predictions[OFFSETS], offsets, positive),
    }
