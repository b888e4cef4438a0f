"""One task's network, compiled once for every patch of a family: weights are an argument."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from adapters.backbones.builder import Backbone
from adapters.heads import linear
from adapters.heads.contract import Arrays
from adapters.heads.registry import head_of
from adapters.patches.contract import Inputs, Prepare, no_look
from adapters.patches.forward import forward
from adapters.runtime import int8
from adapters.store import parity
from adapters.store.contents import Parity, PatchContents
from adapters.store.edits import apply_edits
from adapters.store.kinds import Edits

Array = npt.NDArray[Any]
Apply = Callable[[Arrays, Arrays], dict[str, Any]]
Head = Mapping[str, Array]
Weights = Mapping[str, Mapping[str, Array]]


class Inference(NamedTuple):
    """A compiled network of fixed batch size.

    Attributes:
      taps: (weights, inputs {name: [N, ...]}) -> {tap: [N, ...]}; compiled once. `image` is
        [N, H, W, 3] float32, normalised.
      examples: N.
      size: H and W.
    """

    taps: Callable[[Weights, Arrays], dict[str, jax.Array]]
    examples: int
    size: int

    def features(self, weights: Weights, inputs: Arrays) -> jax.Array:
        """The pooled features [N, C], of a network that gives them."""
        return self.taps(weights, inputs)[linear.FEATURES]


class Answers(NamedTuple):
    """What a network said of a split, in its order.

    Attributes:
      names: of the examples.
      targets: {name: [N, ...]}.
      predictions: {name: [N, ...]}, the head's.
    """

    names: list[str]
    targets: dict[str, Array]
    predictions: dict[str, Array]


def inference(
    backbone: Backbone,
    examples: int,
    size: int,
    prepare: Prepare = no_look,
    taps: Collection[str] = linear.TAPS,
) -> Inference:
    """What heads read of `examples` images of `size` x `size` at a time, with frozen norms.

    `prepare` is the patch's: what is left to do for each image when a file's edits are done; `taps`
    names the maps that are wanted.
    """
    one = of_one_image(backbone, prepare, taps=taps)
    return Inference(jax.jit(jax.vmap(one, in_axes=(None, 0))), examples, size)


def of_one_image(
    backbone: Backbone,
    prepare: Prepare,
    norm: str = "frozen",
    taps: Collection[str] = linear.TAPS,
) -> Callable[[Any, Inputs], dict[str, jax.Array]]:
    """A function from weights and one example's inputs to {tap: array}.

    `norm` is the mode of the norms, those that look among them: `frozen`, or `folded`.
    """
    wanted = sorted(taps)

    def seen(weights: Any, inputs: Inputs) -> dict[str, jax.Array]:
        return forward(backbone, prepare, weights, inputs, {"norm": (norm,)}, wanted).taps

    return seen


def predictions(
    network: Inference,
    weights: Weights,
    head: Arrays,
    inputs: Arrays,
    apply: Apply = linear.apply,
) -> dict[str, Array]:
    """What a head says of examples: {name: [N, ...]}.

    It runs outside the compiled program, so that its width compiles nothing.

    Args:
      network: compiled, for the maps that the head reads.
      weights: patched.
      head: the head's weights, as a file names them.
      inputs: {name: [N, ...]}.
      apply: the head's own; by default one linear layer.
    """
    taps = network.taps(weights, inputs)
    return apply(head, {name: np.asarray(each) for name, each in taps.items()})


def logits(network: Inference, weights: Weights, head: Arrays, images: Array) -> Array:
    """The predictions `logits` [N, outputs] of images [N, H, W, 3] alone."""
    return predictions(network, weights, head, {"image": images})[linear.LOGITS]


def answer(
    network: Inference,
    weights: Weights,
    head: Arrays,
    batches: Iterable[Any],
    normalise: Callable[[Array], Array],
    apply: Apply = linear.apply,
) -> Answers:
    """Predicts every example of `batches`.

    Args:
      network: compiled for the batches' size.
      weights: of the patched backbone.
      head: the task's.
      batches: `tasks.pipeline.EvaluationBatch`es: `inputs`, `targets`, `mask`, False where a batch
        was filled up, and `names`.
      normalise: from pixels to the network's input.
      apply: the head's own; by default one linear layer.
    """
    names: list[str] = []
    parts: list[tuple[dict[str, Array], dict[str, Array]]] = []
    for batch in batches:
        inputs = {**batch.inputs, "image": normalise(batch.inputs["image"])}
        found = predictions(network, weights, head, inputs, apply)
        names += [name for name, real in zip(batch.names, batch.mask, strict=True) if real]
        parts.append(
            (
                {name: each[batch.mask] for name, each in batch.targets.items()},
                {name: each[batch.mask] for name, each in found.items()},
            )
        )
    targets, said = (joined(each) for each in zip(*parts, strict=True))
    return Answers(names, targets, said)


def joined(parts: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """Named arrays [N, ...] of batches, one after another."""
    listed = list(parts)
    return {name: np.concatenate([part[name] for part in listed]) for name in listed[0]}


def parity_vector(
    network: Inference,
    weights: Weights,
    edits: Edits,
    head: Head,
    preprocessing: Mapping[str, Any],
    needs: Mapping[str, tuple[int, ...]] | None = None,
    apply: Apply = linear.apply,
) -> Parity:
    """What a patched network answers to the seeded inputs, to be stored with the patch.

    Args:
      network: for images of the patch's size.
      weights: of the backbone.
      edits: of the patch.
      head: of the patch.
      preprocessing: of the patch, as its card has it.
      needs: {name: shape} of the inputs beside the image, as its card has them.
      apply: the head's own; by default one linear layer.
    """
    seed, shape = parity.seed_of(preprocessing), (network.size, network.size, 3)

    def answers(patched: Weights) -> Array:
        return _seeded(network, patched, head, seed, shape, needs or {}, apply)

    exact = answers(apply_edits(weights, edits))
    # A device has the rounded backbone alone, and rounds what a patch makes of it once more.
    coarse = apply_edits(int8.rounded_kernels(weights), edits)
    stated = tuple(map(float, exact))
    return Parity(
        seed,
        shape,
        stated,
        parity.tolerance(stated),
        tuple(map(float, answers(int8.rounded_kernels(coarse)))),
    )


def parity_check(network: Inference, weights: Weights) -> Callable[[PatchContents], None]:
    """A check for `read_patch`: the patched backbone must give the logits that the file states."""

    def check(contents: PatchContents) -> None:
        patched = apply_edits(weights, contents.edits)
        stated = contents.parity
        apply, needs = head_of(contents).apply, contents.inputs
        got = _seeded(network, patched, contents.head, stated.seed, stated.shape, needs, apply)
        parity.check_logits(stated.logits, got, stated.tolerance)

    return check


def _seeded(
    network: Inference,
    weights: Weights,
    head: Arrays,
    seed: int,
    shape: tuple[int, int, int],
    needs: Mapping[str, tuple[int, ...]],
    apply: Apply,
) -> Array:
    seeded = {name: parity.seeded_input(seed, name, own) for name, own in needs.items()}
    seeded["image"] = parity.seeded_image(seed, shape)
    inputs = {
        name: np.zeros((network.examples, *each.shape), np.float32) for name, each in seeded.items()
    }
    for name, each in seeded.items():
        inputs[name][0] = each
    found = predictions(network, weights, head, inputs, apply)
    return parity.values({name: each[0] for name, each in found.items()}, seed)
