"""Boxes around objects, each with its class: SSDLite, by torchvision's or TensorFlow's anchors.

Liu et al., "SSD", arXiv 1512.02325, with the predictors of Sandler et al., "MobileNetV2",
arXiv 1801.04381, section 6.2. Every cell of each map has anchors; of each, softmax tells its class
or that it is nothing, and four offsets tell the box. The maps but for the backbone's own are those
of the neck `ssdlite`.

Target `objects`: [MOST_OBJECTS, 5], left, top, right and bottom in parts of the sides of the
network's image, and the class's number; -1 in rows that only fill up. The score is COCO's average
precision (AP).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adapters.heads.contract import (
    Array,
    Arrays,
    Boxes,
    Figure,
    Head,
    HeadSettingError,
    Metric,
    Shape,
    Target,
    TargetError,
    finite,
)
from adapters.heads.detection import predictors
from adapters.heads.detection.anchors import CONVENTIONS, placed, sides_of
from adapters.heads.detection.average_precision import average_precision
from adapters.heads.detection.detections import (
    ANCHORS,
    LOGITS,
    OFFSETS,
    Detections,
    detections,
)
from adapters.heads.detection.thresholds import best_threshold

OBJECTS = "objects"
NECK = ("neck_02", "neck_04", "neck_06", "neck_08")
UNKNOWN = 0.5  # how sure an answer is, where nothing was chosen
_MASKED = -1e9  # as in `adapters.heads.wide`


def ssdlite(
    maps: int = 6,
    finest: int = 16,
    coarsest: int = 32,
    smallest: float = 0.2,
    largest: float = 0.95,
    anchors: str = "torchvision",
    threshold: float | None = None,
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
    least = UNKNOWN if threshold is None else threshold
    if not all(type(value) in (int, float) for value in (smallest, largest, least)):
        raise HeadSettingError("smallest, largest and threshold must be numbers.")
    if not 0 < smallest <= largest <= 1 or not 0 <= least <= 1:
        raise HeadSettingError(
            f"smallest, largest and threshold are {smallest}, {largest} and {least}; it must "
            "be 0 < smallest <= largest <= 1, and a threshold from 0 to 1."
        )
    if anchors not in CONVENTIONS:
        raise HeadSettingError(f"anchors is {anchors!r}; it must be {' or '.join(CONVENTIONS)}.")
    taps = names[:maps]
    sides = sides_of(anchors, maps, smallest, largest)

    def shapes(channels: Mapping[str, int], outputs: int) -> dict[str, Shape]:
        widths = [channels[name] for name in taps]
        return predictors.shapes(widths, [len(one) for one in sides], 1 + outputs)

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

    def answer(predictions: Arrays) -> Detections:
        finite(predictions)
        return detections(predictions).above(least)

    def decode(labels: Sequence[str], predictions: Arrays) -> Boxes:
        found = answer(predictions)
        counts = np.bincount(found.classes, minlength=len(labels))
        said = ", ".join(f"{count} {labels[each]}" for each, count in enumerate(counts) if count)
        return Boxes(said or "nothing", *found)

    def listed(labels: Sequence[str], predictions: Arrays) -> list[dict[str, Any]]:
        found = answer(predictions)
        return [
            {"label": labels[each], "score": float(score), "box": box.tolist()}
            for box, score, each in zip(*found, strict=True)
        ]

    def after_validation(predictions: Arrays, targets: Arrays) -> Head:
        _, images = _gathered(_no_images(0), predictions, targets)
        chosen = best_threshold(*zip(*images, strict=True))
        return ssdlite(**{**given, "threshold": chosen})

    given: dict[str, Any] = {
        **{"maps": maps, "finest": finest, "coarsest": coarsest},
        **{"smallest": smallest, "largest": largest},
        **{"anchors": anchors, "threshold": threshold},
    }
    return Head(
        kind="ssdlite",
        settings={name: value for name, value in given.items() if value != _DEFAULTS[name]},
        taps=taps,
        together="padded",
        shapes=shapes,
        channels=channels,
        targets={OBJECTS: Target("float32", per="object")},
        least=1,
        metric=Metric("AP", _no_images, _gathered, _figures_of),
        apply=apply,
        loss=_loss,
        figures=lambda predictions, targets, own: {},
        decode=decode,
        listed=listed,
        soft_targets=None,
        initial=predictors.initial,
        check_targets=_check_targets,
        after_validation=after_validation if threshold is None else None,
    )


_DEFAULTS: dict[str, Any] = {
    **{"maps": 6, "finest": 16, "coarsest": 32, "smallest": 0.2, "largest": 0.95},
    **{"anchors": "torchvision", "threshold": None},
}


def _loss(
    predictions: Arrays, targets: Arrays, own: Any, smoothing: float, distillation: float
) -> dict[str, Any]:
    """Softmax cross-entropy in nats with hard negative mining, and smooth L1 of the offsets."""
    del distillation
    import jax
    import jax.numpy as jnp

    from adapters.heads.detection import losses, matching
    from adapters.heads.detection.boxes import encoded

    objects, anchors = jnp.asarray(targets[OBJECTS]), jnp.asarray(predictions[ANCHORS])
    boxes, classes = objects[:, :4], objects[:, 4].astype(jnp.int32)
    match = matching.matches(anchors, boxes, classes >= 0)
    positive, mine = match != matching.NONE, jnp.maximum(match, 0)
    columns = jnp.concatenate([jnp.ones(1, bool), own])[None]
    told = jax.nn.log_softmax(jnp.where(columns, predictions[LOGITS], jnp.float32(_MASKED)))
    truth = jnp.where(positive, classes[mine] + 1, 0)
    right = jnp.take_along_axis(told, truth[:, None], axis=-1)[:, 0]
    mean = jnp.sum(jnp.where(columns, told, jnp.zeros((), told.dtype)), axis=-1)
    mean = mean / jnp.sum(columns).astype(told.dtype)
    costs = -((1 - smoothing) * right + smoothing * mean)
    # Rows that only fill up are of no area, whose logarithm no gradient should see.
    wanted = encoded(jnp.where(positive[:, None], boxes[mine], anchors), anchors)
    return {
        "classes": losses.mined_loss(costs, positive),
        "boxes": losses.box_loss(predictions[OFFSETS], wanted, positive),
    }


def _check_targets(targets: Arrays) -> None:
    """Also of images of several numbers of objects: a list of [n, 5] is as good as [N, n, 5]."""
    if not any((np.asarray(objects)[:, 4] >= 0).any() for objects in targets[OBJECTS]):
        raise TargetError("no example has an object: there is nothing to find.")


_State = tuple[int, tuple[tuple[Array, Detections], ...]]


def _no_images(outputs: int) -> _State:
    return outputs, ()


def _gathered(state: _State, predictions: Arrays, targets: Arrays) -> _State:
    outputs, before = state
    new = []
    for row, objects in enumerate(targets[OBJECTS]):
        truth = np.asarray(objects)
        one = {name: values[row] for name, values in predictions.items()}
        new.append((truth[truth[:, 4] >= 0], detections(one)))
    return outputs, (*before, *new)


def _figures_of(state: _State) -> dict[str, Figure]:
    outputs, images = state
    if not images:
        raise TargetError("average precision of no examples is undefined.")
    truths, found = zip(*images, strict=True)
    score = average_precision(truths, found, outputs)
    return {
        "AP": Figure(score.over_overlaps, "fraction"),
        "AP50": Figure(score.at_half, "fraction"),
    }
