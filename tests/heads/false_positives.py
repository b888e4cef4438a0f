"""How much of a mask's loss is where it should not be, with ReMask and without.

    python -m tests.heads.false_positives [BACKBONE] [IMAGES]

Of a head's first weights, on images of stamps_on_surfaces: each mask as sigmoids, the sum of the
cross-entropy of pixels that are not of its segment (false positives) and of those that are (false
negatives). All have the same segments for the same masks. The third is ReMask where both the
auxiliary layer and the masks' classes were right and sure.
"""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adapters.heads.contract import MOST_OF_CLASS, Head
from adapters.heads.masks import relaxation
from adapters.heads.masks.hungarian import assignment
from adapters.heads.registry import from_spec

_NAMES = ("plain", "ReMask", "ReMask by the truth")
_SURE = 10.0  # a logit


class Balance(NamedTuple):
    """Sums of cross-entropies in nats."""

    false_positives: float
    false_negatives: float


def balances(head: Head, maps: Mapping[str, Any], truth: Any, outputs: int) -> list[Balance]:
    """Of one image without ReMask, with it, and with it by classes that are right.

    Masks are those of the weights that training starts from.

    Args:
      head: `panoptic`, with its auxiliary layer.
      maps: that it reads, [h, w, C].
      truth: the segment of each pixel, [H, W], multiples of [h, w].
      outputs: labels.
    """
    trained = head.in_training
    assert trained is not None
    channels = {name: own.shape[-1] for name, own in maps.items()}
    said = trained.apply(trained.initial(trained.shapes(channels, outputs)), maps)
    height, width, queries = said["masks"].shape[1:]
    masks, logits = said["masks"][-1].reshape(-1, queries), jnp.asarray(said["logits"][-1][:, 1:])
    tall, wide = (size // own for size, own in zip(truth.shape, (height, width), strict=True))
    near = truth[tall // 2 :: tall, wide // 2 :: wide].reshape(-1)
    inside = np.zeros((len(near), queries), bool)
    numbers = np.unique(near[near >= 0])
    inside[:, : len(numbers)] = near[:, None] == numbers
    shares = jax.nn.softmax(jnp.asarray(masks))
    match = np.asarray(jax.jit(assignment)(-(inside.T.astype(np.float32) @ shares)))
    mine = np.empty_like(inside)
    mine[:, match] = inside
    semantic = said["semantic"].reshape(-1, outputs)
    known = near[:, None] // MOST_OF_CLASS == np.arange(outputs)
    right = (mine.T.astype(int) @ known) > 0
    return [
        Balance(
            float(np.logaddexp(0, np.float64(each))[~mine].sum()),
            float(np.logaddexp(0, -np.float64(each))[mine].sum()),
        )
        for each in (
            masks,
            np.asarray(relaxation.remasked(masks, semantic, logits)),
            np.asarray(relaxation.remasked(masks, _sure(known), _sure(right))),
        )
    ]


def _sure(true: Any) -> jax.Array:
    return jnp.where(jnp.asarray(true), jnp.float32(_SURE), jnp.float32(-_SURE))


def main(backbone: str = "mobilenet_v2_torchvision", images: str = "16", size: int = 64) -> None:
    """Prints the balances, summed over images."""
    from adapters.experiment import backbones
    from adapters.inference.compiled import of_one_image
    from adapters.patches.contract import no_look
    from adapters.preprocessing import Preprocessing, normalise
    from tasks import pipeline, registry

    loaded = backbones.load(backbone)
    (task,) = registry.resolve(["stamps_on_surfaces"])
    head = from_spec("panoptic(stuff=5)")
    how = Preprocessing(
        size, loaded.checkpoint.mean, loaded.checkpoint.std, task.fit, task.background
    )
    batch = next(pipeline.training_iterator(task, how, int(images), seed=0, augmentation="none"))
    look = jax.jit(jax.vmap(of_one_image(loaded.network, no_look, taps=head.taps), (None, 0)))
    maps = jax.tree.map(np.asarray, look(loaded.weights, {"image": normalise(batch["image"], how)}))
    totals = np.zeros((3, 2))
    for row, truth in enumerate(batch["segments"]):
        own = {name: values[row] for name, values in maps.items()}
        totals += balances(head, own, truth, len(task.labels))
    for name, (positives, negatives) in zip(_NAMES, totals, strict=True):
        ratio = positives / negatives
        print(
            f"{name}: {positives:.0f} false positives, {negatives:.0f} false negatives, {ratio:.1f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
