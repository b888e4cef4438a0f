"""Stops at a patch's first look where that is sure enough, and finishes only the other images.

Two compiled programs: a look at every image of a batch, and the network proper, on the undecided
alone. Those are gathered on the host and filled up to one of a few sizes, so that nothing is
compiled anew; one program that decided inside would have to compute both for every image.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core

from adapters.backbones.builder import Backbone
from adapters.errors import ModelPatchError
from adapters.heads import linear
from adapters.heads.classification import softmax
from adapters.heads.contract import Arrays
from adapters.inference.compiled import Array, Weights
from adapters.patches.contract import Prepare
from adapters.patches.replacement import with_leaves


class NoPredictionError(ModelPatchError):
    """A patch whose first look predicts nothing by the name that was asked for."""


class EarlyExit(NamedTuple):
    """A network in two compiled parts.

    Attributes:
      look: (weights, images [N, H, W, 3]) -> (leaves for each image, auxiliary features [N, F]).
      finish: (weights, leaves, images [M, H, W, 3]) -> features [M, C], for M in `sizes`.
      prediction: the name of the auxiliary prediction.
      sizes: how many undecided images are finished at once, rising; the last is N.
      look_one, finish_one: the same for one image, not compiled: their costs can be counted.
    """

    look: Callable[..., Any]
    finish: Callable[..., jax.Array]
    prediction: str
    sizes: tuple[int, ...]
    look_one: Callable[[Weights, jax.Array], Any]
    finish_one: Callable[[Weights, Weights, jax.Array], jax.Array]


class EarlyAnswers(NamedTuple):
    """What a batch got: `first` and `final` probabilities, and who stopped at the first.

    Attributes:
      first: [N, classes], of the auxiliary prediction.
      final: [N, classes], of the network; for those that stopped, of the auxiliary prediction.
      stopped: [N] bool.
    """

    first: Array
    final: Array
    stopped: Array


def early_exit(
    backbone: Backbone,
    prepare: Prepare,
    prediction: str,
    sizes: Sequence[int],
) -> EarlyExit:
    """The network of a patch that looks first.

    Args:
      backbone: the network.
      prepare: the patch's.
      prediction: which of its auxiliary predictions decides.
      sizes: see `EarlyExit`.
    """

    def look_one(weights: Any, image: jax.Array) -> tuple[Any, jax.Array]:
        seen = prepare(weights, {"image": image}, {"backbone": backbone})
        if prediction not in seen.auxiliary:
            known = ", ".join(seen.auxiliary) or "none"
            raise NoPredictionError(
                f"the patch makes no prediction called {prediction!r} when it first looks at an "
                f"image (it makes: {known}), so there is nothing to stop at: use a basisnet."
            )
        return seen.leaves, seen.auxiliary[prediction].features

    def finish_one(weights: Any, leaves: Any, image: jax.Array) -> jax.Array:
        return backbone.apply(with_leaves(weights, leaves), image).features

    return EarlyExit(
        jax.jit(jax.vmap(look_one, in_axes=(None, 0))),
        jax.jit(jax.vmap(finish_one, in_axes=(None, 0, 0))),
        prediction,
        tuple(sorted(sizes)),
        look_one,
        finish_one,
    )


def answer_early(
    network: EarlyExit, weights: Weights, head: Arrays, images: Array, threshold: float
) -> EarlyAnswers:
    """Answers a batch; an image stops where the first look's likeliest class has `threshold`.

    Args:
      network: of `early_exit`.
      weights: of the backbone, with the task's edits done.
      head: the task's, as its file names the parts.
      images: [N, H, W, 3], normalised, with N the largest of the network's sizes.
      threshold: a probability; above 1 none stops.
    """
    own = network.prediction
    leaves, features = network.look(weights, images)
    first = _probabilities({"w": head[f"{own}/w"], "b": head[f"{own}/b"]}, features)
    stopped = first.max(axis=1) >= threshold
    final = first.copy()
    undecided = np.flatnonzero(~stopped)
    if undecided.size:
        size = next(size for size in network.sizes if size >= undecided.size)
        filled = np.resize(undecided, size)
        gathered = jax.tree.map(lambda leaf: np.asarray(leaf)[filled], leaves)
        features = np.asarray(network.finish(weights, gathered, images[filled]))
        final[undecided] = _probabilities(head, features[: undecided.size])
    return EarlyAnswers(first, final, stopped)


def _probabilities(head: Arrays, features: Any) -> Array:
    return softmax(linear.apply(head, {linear.FEATURES: np.asarray(features)})[linear.LOGITS])


def programs(
    network: EarlyExit, weights: Any, size: int
) -> tuple[core.ClosedJaxpr, core.ClosedJaxpr]:
    """The traced look and finish of one image [size, size, 3], for counting what they cost."""
    image = jax.ShapeDtypeStruct((size, size, 3), np.float32)
    leaves, _ = jax.eval_shape(network.look_one, weights, image)
    return (
        jax.make_jaxpr(network.look_one)(weights, image),
        jax.make_jaxpr(network.finish_one)(weights, leaves, image),
    )
