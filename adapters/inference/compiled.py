"""One task's network, compiled once for every patch of a family: weights are an argument."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from adapters.backbones.builder import Backbone
from adapters.patches.contract import Context, Prepared, no_look
from adapters.patches.replacement import with_leaves
from adapters.runtime import int8
from adapters.runtime.probabilities import softmax
from adapters.store import parity
from adapters.store.contents import Parity, PatchContents
from adapters.store.edits import apply_edits
from adapters.store.kinds import Edits

Array = npt.NDArray[Any]
Head = Mapping[str, Array]
Weights = Mapping[str, Mapping[str, Array]]

Prepare = Callable[[Any, jax.Array, Context], Prepared]

# Another machine sums in another order: float32 over 50 layers keeps about 4 digits.
PARITY_TOLERANCE = 2e-3


class Inference(NamedTuple):
    """A compiled network of fixed batch size.

    Attributes:
      features: (weights, images [N, H, W, 3] float32, normalised) -> [N, C]; compiled once.
      examples: N.
      size: H and W.
    """

    features: Callable[[Weights, Array], jax.Array]
    examples: int
    size: int


class Answers(NamedTuple):
    """What a network said of a split, in its order: `names`, `labels`, `predictions`, each [N]."""

    names: list[str]
    labels: Array
    predictions: Array


def inference(
    backbone: Backbone, examples: int, size: int, prepare: Prepare = no_look
) -> Inference:
    """The features of `examples` images of `size` x `size` at a time, with frozen norms.

    `prepare` is the patch's: what is left to do for each image when a file's edits are done.
    """
    one = of_one_image(backbone, prepare)
    return Inference(jax.jit(jax.vmap(one, in_axes=(None, 0))), examples, size)


def of_one_image(
    backbone: Backbone, prepare: Prepare, norm: str = "frozen"
) -> Callable[[Any, jax.Array], jax.Array]:
    """A function from weights and an image [H, W, 3] to features [C], after the patch's look at it.

    `norm` is the mode of the norms, those that look among them: `frozen`, or `folded`.
    """

    def features(weights: Any, image: jax.Array) -> jax.Array:
        leaves = prepare(weights, image, {"backbone": backbone, "norm": (norm,)}).leaves
        return backbone.apply(with_leaves(weights, leaves), image, norm).features

    return features


def logits(network: Inference, weights: Weights, head: Head, images: Array) -> Array:
    """Logits [N, classes] of images [N, H, W, 3]; `head` is {"w": [C, classes], "b": [classes]}.

    The head runs outside the compiled program, so that its width compiles nothing.
    """
    return np.asarray(network.features(weights, images)) @ head["w"] + head["b"]


def probabilities(features: Array, w: Array, b: Array) -> Array:
    """Softmax [N, classes] of features [N, F] @ w [F, classes] + b [classes]."""
    return softmax(features @ w + b)


def answer(
    network: Inference,
    weights: Weights,
    head: Head,
    batches: Iterable[Mapping[str, Any]],
    normalise: Callable[[Array], Array],
) -> Answers:
    """Predicts every example of `batches`.

    Args:
      network: compiled for the batches' size.
      weights: of the patched backbone.
      head: the task's.
      batches: of `image` uint8 [N, H, W, 3], `label` [N], `mask` [N] (False where a batch was
        filled up) and `name`.
      normalise: from pixels to the network's input.
    """
    names: list[str] = []
    labels, predictions = [], []
    for batch in batches:
        answers = logits(network, weights, head, normalise(batch["image"])).argmax(axis=1)
        names += [name for name, real in zip(batch["name"], batch["mask"], strict=True) if real]
        labels.append(batch["label"][batch["mask"]])
        predictions.append(answers[batch["mask"]])
    return Answers(names, np.concatenate(labels), np.concatenate(predictions))


def parity_vector(
    network: Inference,
    weights: Weights,
    edits: Edits,
    head: Head,
    preprocessing: Mapping[str, Any],
) -> Parity:
    """What a patched network answers to the seeded image, to be stored with the patch.

    Args:
      network: for images of the patch's size.
      weights: of the backbone.
      edits: of the patch.
      head: of the patch.
      preprocessing: of the patch, as its card has it.
    """
    seed, shape = parity.seed_of(preprocessing), (network.size, network.size, 3)

    def answers(patched: Weights) -> Array:
        return _seeded_logits(network, patched, head, seed, shape)

    exact = answers(apply_edits(weights, edits))
    # A device has the rounded backbone alone, and rounds what a patch makes of it once more.
    coarse = apply_edits(int8.rounded_kernels(weights), edits)
    return Parity(
        seed,
        shape,
        tuple(map(float, exact)),
        PARITY_TOLERANCE * max(1.0, float(np.abs(exact).max())),
        tuple(map(float, answers(int8.rounded_kernels(coarse)))),
    )


def parity_check(network: Inference, weights: Weights) -> Callable[[PatchContents], None]:
    """A check for `read_patch`: the patched backbone must give the logits that the file states."""

    def check(contents: PatchContents) -> None:
        patched = apply_edits(weights, contents.edits)
        stated = contents.parity
        got = _seeded_logits(network, patched, contents.head, stated.seed, stated.shape)
        parity.check_logits(stated.logits, got, stated.tolerance)

    return check


def _seeded_logits(
    network: Inference, weights: Weights, head: Head, seed: int, shape: tuple[int, int, int]
) -> Array:
    images = np.zeros((network.examples, *shape), np.float32)
    images[0] = parity.seeded_image(seed, shape)
    return logits(network, weights, head, images)[0]
