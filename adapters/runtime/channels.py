"""A network's norms as one factor and one offset a channel, for graphs whose kernels are fixed."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from adapters.modules import is_norm, layer_of
from adapters.vocabulary import MODULATION

Array = npt.NDArray[np.float32]
Weights = Mapping[str, Mapping[str, Array]]


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
            layer = layer_of(path)
            before = {} if layer == path else weights.get(layer, {})
            modulation = {n: np.asarray(before[n], np.float64) for n in MODULATION if n in before}
            gain = norm["scale"] / np.sqrt(norm["var"] + epsilon)
            for name in modulation:
                del reduced[layer][name]
            centre = norm["mean"] - modulation.get("offset", 0.0)
            reduced[path] = {
                "scale": (modulation.get("scale", 1.0) * gain).astype(np.float32),
                "offset": (norm["offset"] - centre * gain).astype(np.float32),
            }
    return reduced
