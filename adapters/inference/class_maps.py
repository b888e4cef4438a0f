"""Class activation maps: where in an image a classifier found what it says.

Zhou, Khosla, Lapedriza, Oliva, Torralba, "Learning Deep Features for Discriminative Localization",
arXiv 1512.04150, section 2: features are the mean of a map over its places, and a class's score is
linear in them, so that the score is also the mean of a map of scores.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.backbones.table import LayerTable
from adapters.backbones.taps import pooled_map
from adapters.errors import ModelPatchError
from adapters.heads import linear
from adapters.heads.contract import Answer
from adapters.heads.registry import head_of
from adapters.resizing import resized
from adapters.store.contents import PatchCard

_CLOSE = 1e-3  # of the largest feature: what rounding may part features from means of their map

Maps = npt.NDArray[np.float32]


class NoClassMapError(ModelPatchError):
    """A patch whose answer is not the mean of a map of scores for a class."""


def taps_for(card: PatchCard, table: LayerTable) -> tuple[str, str]:
    """What `class_maps` reads of a network: the features, and the map that they are the mean of.

    Raises NoClassMapError for a head that tells no classes, or that reads more than the features,
    and for a backbone with a layer after the mean.
    """
    head = head_of(card)
    classes = head.computes == linear.COMPUTES and isinstance(
        head.decode(card.labels, {linear.LOGITS: np.zeros(len(card.labels), np.float32)}), Answer
    )
    if not classes:
        raise NoClassMapError(
            f"the patch for {card.task} predicts {card.head_kind}, which has no map for a class: "
            "give one of a classifier, or of a task with several labels an image."
        )
    last = pooled_map(table)
    if last is None:
        raise NoClassMapError(
            f"{table.name} has a layer after the mean over its last map, so that no map's mean is "
            "a class's score: give a patch on a backbone without one, MobileNetV2, say."
        )
    return linear.FEATURES, last


def class_maps(
    taps: Mapping[str, npt.NDArray[Any]],
    names: tuple[str, str],
    head: Mapping[str, npt.NDArray[Any]],
    classes: npt.NDArray[np.int64],
    size: int,
) -> Maps:
    """The map [N, size, size] of one class of each image, from 0 to 1; 0 where it is constant.

    Resized bilinearly with half-pixel centres, then scaled by each image's least and greatest.

    Args:
      taps: {name: [N, ...]}, of a network of the names that follow.
      names: as `taps_for` gives them.
      head: `w` [F, outputs] and `b` [outputs].
      classes: [N], the number of each image's class.
      size: side of the maps, pixels.

    Raises NoClassMapError where features are not the mean of the map: the patch changes them after.
    """
    features, last = (np.asarray(taps[name]) for name in names)
    apart = np.abs(last.mean(axis=(1, 2)) - features).max()
    if apart > _CLOSE * max(np.abs(features).max(), 1e-6):
        raise NoClassMapError(
            "this patch changes the features after the mean over the last map, so that no map's "
            "mean is a class's score: give another patch."
        )
    rows = head["w"].T[classes]  # [N, F]
    scores = np.einsum("nhwf,nf->nhw", last, rows, optimize=True)
    large = resized(scores[..., None].astype(np.float32), size, size)[..., 0]
    low = large.min(axis=(1, 2), keepdims=True)
    spread = large.max(axis=(1, 2), keepdims=True) - low
    return (large - low) / np.where(spread > 0, spread, np.float32(1))
