"""What a mask transformer is trained on, of one image, in JAX.

The terms and their weights are kMaX-DeepLab's (arXiv 2207.04044), those of MaX-DeepLab (Wang et
al., arXiv 2012.00759, section 3.3): of every segment the mask that fits it best, by class and Dice,
one for each; the classes of all masks; Dice; and, at each pixel, which mask it belongs to. Without
the discrimination of instances. Segments are compared as coarsely as masks are predicted: of each
place, the share that is of a segment.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.heads.contract import MOST_OF_CLASS
from adapters.heads.masks import decoder, relaxation
from adapters.heads.masks.hungarian import assignment
from adapters.resizing import transformed, windows

PANOPTIC, MASK_IDS = 3.0, 0.3
POSITIVE = 0.75  # what masks with a segment count, against those without
_MASKED = -1e9  # as in `adapters.heads.wide`
_LEAST = 1e-5  # of a weight: as in the authors' code
_NONE = 2**30


class Relaxation(NamedTuple):
    """How training differs.

    Attributes:
      remask: whether masks are relaxed.
      reclass: how much classes are, from 0 to 1.
      semantic: how much the auxiliary prediction of each pixel's class counts.
    """

    remask: bool
    reclass: float
    semantic: float


class _Segments(NamedTuple):
    """Of K segments, the last of which may be none: zeros.

    Attributes:
      shares: of each place that are of each segment, [P, K].
      classes: one-hot, [K, outputs].
    """

    shares: jax.Array
    classes: jax.Array


def losses(
    predictions: Mapping[str, Any], truth: Any, own: Any, smoothing: float, how: Relaxation
) -> dict[str, Any]:
    """The terms by name: `classes`, `masks` and `mask_ids`, summed over blocks, and `semantic`.

    Args:
      predictions: of one image, see `decoder.predicted_in_training`.
      truth: the segment of each pixel, [H, W], see `Target`.
      own: [outputs] bool.
      smoothing: share of a class's target that all share alike.
      how: what is relaxed.
    """
    steps, height, width, queries = predictions[decoder.MASKS].shape
    segments = _segments(jnp.asarray(truth), height, width, queries, len(own))
    semantic = None
    if decoder.SEMANTIC in predictions:
        scores = predictions[decoder.SEMANTIC].reshape(height * width, -1)
        semantic = jnp.where(own[None], scores, jnp.float32(_MASKED))

    def one(logits: Any, masks: Any) -> dict[str, Any]:
        columns = jnp.concatenate([jnp.ones(1, bool), own])[None]
        told = jnp.where(columns, logits, jnp.float32(_MASKED))
        if how.remask:
            masks = relaxation.remasked(masks, semantic, told[:, 1:])
        return _panoptic(told, masks, segments, columns, smoothing, how.reclass)

    flat = predictions[decoder.MASKS].reshape(steps, height * width, queries)
    each = jax.vmap(one)(predictions[decoder.LOGITS], flat)
    found = {name: jnp.sum(values) for name, values in each.items()}
    if semantic is not None:
        wanted = segments.shares @ segments.classes
        found["semantic"] = how.semantic * _cross_entropy(semantic, wanted)
    return found


def _panoptic(
    logits: Any, masks: Any, segments: _Segments, columns: Any, smoothing: float, reclass: float
) -> dict[str, Any]:
    """Of one set of masks [P, N] with logits [N, 1 + outputs]."""
    shares, classes = segments
    queries, real = masks.shape[-1], jnp.sum(classes, axis=-1)
    known = jnp.sum(shares, axis=-1, keepdims=True)
    told, placed = jax.nn.log_softmax(logits), jax.nn.log_softmax(masks)
    sure, seen = jnp.exp(told), jnp.exp(placed)

    dice = _dice(shares, seen * known)
    right = classes @ sure[:, 1:].T
    match = assignment(-dice * right)
    dice, right = (jnp.take_along_axis(each, match[:, None], 1)[:, 0] for each in (dice, right))

    # Of each query: the segment that is its, or none.
    segment = jnp.zeros(queries, jnp.int32).at[match].set(jnp.arange(queries, dtype=jnp.int32))
    matched = real[segment][:, None]
    wanted = classes[segment]
    area = jnp.maximum(jnp.sum(seen, axis=0), _LEAST)[:, None]
    if reclass:
        overlaps = (seen.T @ (shares @ classes)) / area
        wanted = matched * relaxation.reclassed(wanted, overlaps, reclass)
    wanted = jnp.concatenate([1 - matched, wanted], axis=-1)
    every = columns.astype(wanted.dtype)
    even = every / jnp.sum(every)
    wanted = (1 - smoothing) * wanted + smoothing * even
    # A mask that is much on pixels that do not count may be of a segment that nobody marked.
    counted = (seen.T @ known / area)[:, 0]
    good = jnp.maximum(dice[segment], _LEAST)
    weight = jnp.where(matched[:, 0] > 0, POSITIVE * good, (1 - POSITIVE) * counted)
    entropy = -jnp.sum(jnp.where(columns, wanted * told, jnp.zeros((), told.dtype)), axis=-1)

    fit = jax.lax.stop_gradient(jnp.maximum(right, _LEAST)) * (1 - dice) * real
    return {
        "classes": PANOPTIC * jnp.mean(jax.lax.stop_gradient(weight) * entropy),
        "masks": PANOPTIC * POSITIVE * jnp.sum(fit) / queries,
        "mask_ids": MASK_IDS * _cross_entropy(masks[:, match], shares),
    }


def _segments(truth: Any, height: int, width: int, queries: int, outputs: int) -> _Segments:
    """The segments of an image; of more than there are queries, those of the first labels."""
    seen = jnp.where(truth < 0, _NONE, truth)
    numbers = jnp.unique(seen, size=queries, fill_value=_NONE)
    real = (numbers < _NONE).astype(jnp.float32)
    pixels = (seen[..., None] == numbers[None, None]).astype(jnp.float32) * real[None, None]
    coarse = transformed(pixels, windows(len(truth), height), windows(truth.shape[1], width))
    classes = jax.nn.one_hot(numbers // MOST_OF_CLASS, outputs, dtype=jnp.float32)
    return _Segments(coarse.reshape(height * width, queries), classes * real[:, None])


def _dice(shares: Any, seen: Any) -> Any:
    """Of each segment [P, K] with each mask [P, N]: [K, N]."""
    both = 2 * shares.T @ seen
    sizes = jnp.sum(shares, axis=0)[:, None] + jnp.sum(seen, axis=0)[None]
    return both / jnp.maximum(sizes, _LEAST)


def _cross_entropy(logits: Any, shares: Any) -> Any:
    """In nats, the mean over places, each as much as it counts."""
    each = -jnp.sum(shares * jax.nn.log_softmax(logits), axis=-1)
    return jnp.sum(each) / jnp.maximum(jnp.sum(shares), _LEAST)
