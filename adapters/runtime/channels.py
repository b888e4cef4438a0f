"""A network's norms as one factor and one offset a channel, for graphs whose kernels are fixed."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Weights = Mapping[str, Mapping[str, Array]]

NORM = frozenset({"scale", "offset", "mean", "var"})
MODULATION = frozenset({"scale", "offset"})


def without_statistics(weights: Weights, epsilon: float) -> dict[str, dict[str, Array]]:
    """The same weights with every norm reduced to `scale` and `offset`: y = x * scale + offset.

    What a network in the norm mode `folded` takes. A `scale` or `offset` that a patch has inserted
    beside the kernel before a norm becomes part of the norm's. Works in float64, so that only the
    result is rounded.

    Args:
      weights: {module path: {leaf: array}}; a norm stands under its convolution, if it has one.
      epsilon: of the norms.
    """
    reduced = {path: dict(leaves) for path, leaves in weights.items()}
    for path, leaves in weights.items():
        if is_norm(leaves):
            norm = {name: np.asarray(leaf, np.float64) for name, leaf in leaves.items()}
            before = weights.get(path.removesuffix("/norm"), {})
            modulation = {n: np.asarray(before[n], np.float64) for n in MODULATION & before.keys()}
            gain = norm["scale"] / np.sqrt(norm["var"] + epsilon)
            for name in modulation:
                del reduced[path.removesuffix("/norm")][name]
            centre = norm["mean"] - modulation.get("offset", 0.0)
            reduced[path] = {
                "scale": (modulation.get("scale", 1.0) * gain).astype(np.float32),
                "offset": (norm["offset"] - centre * gain).astype(np.float32),
            }
    return reduced


def is_norm(leaves: Mapping[str, object]) -> bool:
    """Whether a module with these leaves is a norm with its statistics."""
    return leaves.keys() >= NORM
