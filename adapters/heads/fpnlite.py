"""Boxes around objects, each with its class: SSD on a feature pyramid, FPNLite.

Lin et al., "Focal Loss for Dense Object Detection", arXiv 1708.02002, with separable convolutions
and the shared predictor of TensorFlow's `ssd_mobilenet_v2_fpnlite`. Reads the maps of the neck
`fpn`; every cell has six anchors. Of each anchor a sigmoid tells whether it is of a class, and four
offsets tell the box. Levels are tasks, and their norms a patch: kernels are one for all of them.

Target `objects`: as of `ssdlite`. The score is COCO's average precision (AP).
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from adapters.heads.contract import Arrays, Head, HeadSettingError, Shape
from adapters.heads.detection import tower
from adapters.heads.detection.anchors import octaves, placed
from adapters.heads.detection.detections import (
    ANCHORS,
    LOGITS,
    OFFSETS,
    Detections,
    detections,
)
from adapters.heads.detection.detector import detector
from adapters.heads.detection.predictors import BOXES, CLASSES, begun

LEVELS = {3: "neck_05", 4: "neck_04", 5: "neck_01", 6: "neck_06", 7: "neck_07"}
"""What the neck `fpn` calls the map of each level, of a stride of 2**level pixels."""

CELL = 6  # anchors
_MASKED = -1e9  # as in `adapters.heads.wide`


def fpnlite(
    finest: int = 3,
    coarsest: int = 7,
    anchor: float = 4.0,
    threshold: float | None = None,
    layers: int = tower.LAYERS,
) -> Head:
    """Boxes around objects on a feature pyramid.

    Args:
      finest, coarsest: levels of the pyramid that are read, from 3 to 7.
      anchor: side of a level's smaller square anchor, in its strides.
      threshold: how sure a box has to be to be an answer, from 0 to 1; by default what has the best
        F1 on validation, and 0.5 before there is one.
      layers: of the tower, from 0 to 4: most of a task's file, with 4 as published.

    Raises HeadSettingError.
    """
    if not all(type(one) is int and one in LEVELS for one in (finest, coarsest)):
        raise HeadSettingError(
            f"finest and coarsest are {finest!r} and {coarsest!r}; they must be levels from "
            f"{min(LEVELS)} to {max(LEVELS)}."
        )
    if finest > coarsest or type(anchor) not in (int, float) or not 0 < anchor <= 100:
        raise HeadSettingError(
            f"finest, coarsest and anchor are {finest}, {coarsest} and {anchor!r}; finest must not "
            "be above coarsest, and anchor above 0 and at most 100."
        )
    if type(layers) is not int or not 0 <= layers <= tower.LAYERS:
        raise HeadSettingError(f"layers is {layers!r}; it must be from 0 to {tower.LAYERS}.")
    levels = range(finest, coarsest + 1)
    taps = tuple(LEVELS[level] for level in levels)

    def shapes(channels: Mapping[str, int], outputs: int) -> dict[str, Shape]:
        return tower.shapes(channels[taps[0]], len(taps), CELL, outputs, layers)

    def channels(shapes: Mapping[str, Shape]) -> dict[str, int]:
        return dict.fromkeys(taps, tower.width(shapes))

    def apply(weights: Arrays, read: Arrays) -> dict[str, Any]:
        seen = [read[name] for name in taps]
        space, before = seen[0].__array_namespace__(), seen[0].shape[:-3]
        size = seen[0].shape[-3] * 2**finest
        around = placed(octaves(levels, size, anchor), [one.shape[-3:-1] for one in seen])
        told = tower.predicted(weights, seen)
        return {
            LOGITS: told[CLASSES],
            OFFSETS: told[BOXES],
            ANCHORS: space.broadcast_to(space.asarray(around), (*before, *around.shape)),
        }

    given: dict[str, Any] = {
        **{"finest": finest, "coarsest": coarsest, "anchor": anchor},
        **{"threshold": threshold, "layers": layers},
    }
    return detector(
        *(fpnlite, given, _DEFAULTS, _find),
        taps=taps,
        shapes=shapes,
        channels=channels,
        apply=apply,
        loss=_loss,
        initial=tower.initial,
        begun=functools.partial(begun, before=0),
    )


_DEFAULTS: dict[str, Any] = {
    **{"finest": 3, "coarsest": 7, "anchor": 4.0, "threshold": None},
    **{"layers": tower.LAYERS},
}


def _find(predictions: Arrays) -> Detections:
    logits = np.asarray(predictions[LOGITS])
    return detections(predictions, 1 / (1 + np.exp(-np.clip(logits, -80, 80))))


def _loss(
    predictions: Arrays, targets: Arrays, own: Any, smoothing: float, distillation: float
) -> dict[str, Any]:
    """Sigmoid focal loss, and smooth L1 of the offsets, the mean over a box's four."""
    del distillation
    import jax
    import jax.numpy as jnp

    from adapters.heads.detection import losses
    from adapters.heads.detection.matched import matched

    positive, classes, offsets = matched(predictions, targets)
    logits = jnp.where(own[None], predictions[LOGITS], jnp.float32(_MASKED))
    wanted = jax.nn.one_hot(classes, logits.shape[-1], dtype=logits.dtype)
    wanted = jnp.where(positive[:, None], wanted, jnp.zeros((), logits.dtype))
    del smoothing  # a sigmoid of each class has none
    return {
        "classes": losses.focal_loss(logits, wanted, positive),
        "boxes": losses.box_loss(predictions[OFFSETS], offsets, positive) / 4,
    }
