"""A task's head in a program that was made for a wider one."""

from collections.abc import Mapping

import numpy as np

from adapters.heads.contract import Array, Arrays, Head
from adapters.heads.linear import LOGITS


def filled(head: Head, weights: Arrays, outputs: int, filling: float = np.nan) -> dict[str, Array]:
    """The weights of a head as those of one with so many outputs; the further ones predict NaN.

    Leaves are those of `weights`, of the shapes that `head.shapes` says; what the further outputs
    have is `filling`.
    """
    channels = head.channels({leaf: values.shape for leaf, values in weights.items()})
    found = {}
    for leaf, shape in head.shapes(channels, outputs).items():
        found[leaf] = np.full(shape, filling, np.float32)
        found[leaf][tuple(slice(size) for size in weights[leaf].shape)] = weights[leaf]
    return found


def emptied(predictions: Mapping[str, Array], surplus: int) -> dict[str, Array]:
    """Predictions without those of the last `surplus` outputs, which are nobody's."""
    logits = predictions[LOGITS]
    return {**predictions, LOGITS: logits[..., : logits.shape[-1] - surplus]}
