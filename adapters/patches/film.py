"""A scale and an offset after every convolution, also where norms were folded away.

Perez, Strub, de Vries, Dumoulin, Courville, "FiLM", arXiv 1709.07871, without a condition; as
Shysheya et al., "FiT", arXiv 2206.08671, transfer with it. On MobileNetV2 1.0: 34,112 values, as
`scale_bias`, and the same functions where a norm follows.
"""

from typing import Any

import jax
import jax.numpy as jnp

from adapters.modules import norm_of
from adapters.patches.contract import Patch, Weights
from adapters.patches.insertion import insertion
from adapters.patches.naming import named
from adapters.patches.sizes import size_of_sums
from adapters.vocabulary import IDENTITY, KERNEL, MODULATION, OFFSET, SCALE


@named
def film() -> Patch:
    """Each task adds `scale` [C] and `offset` [C] to every convolution; they start as 1 and 0."""
    return insertion(_leaves, _sizes)


def _leaves(key: jax.Array, weights: Weights) -> Weights:
    del key
    return {
        path: {
            name: jnp.full((weights[path][KERNEL].shape[-1],), IDENTITY[name], jnp.float32)
            for name in MODULATION
        }
        for path in _convolutions(weights)
    }


def _sizes(weights: Weights) -> dict[str, dict[str, Any]]:
    return {
        path: {SCALE: 1.0, OFFSET: size_of_sums(weights, path)} for path in _convolutions(weights)
    }


def _convolutions(weights: Weights) -> list[str]:
    return [
        path for path, leaves in weights.items() if KERNEL in leaves and norm_of(path) in weights
    ]
