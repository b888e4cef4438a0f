"""A scale and an offset after every convolution, also where norms were folded away.

Perez, Strub, de Vries, Dumoulin, Courville, "FiLM", arXiv 1709.07871, without a condition; as
Shysheya et al., "FiT", arXiv 2206.08671, transfer with it. On MobileNetV2 1.0: 34,112 values, as
`scale_bias`, and the same functions where a norm follows.
"""

import jax
import jax.numpy as jnp

from adapters.layers.optional import IDENTITY
from adapters.patches.contract import Patch, Weights
from adapters.patches.insertion import insertion
from adapters.patches.naming import named


@named
def film() -> Patch:
    """Each task adds `scale` [C] and `offset` [C] to every convolution; they start as 1 and 0."""
    return insertion(_leaves)


def _leaves(key: jax.Array, weights: Weights) -> Weights:
    del key
    channels = {
        path: leaves["w"].shape[-1]
        for path, leaves in weights.items()
        if "w" in leaves and f"{path}/norm" in weights
    }
    return {
        path: {
            name: jnp.full((count,), IDENTITY[name], jnp.float32) for name in ("scale", "offset")
        }
        for path, count in channels.items()
    }
