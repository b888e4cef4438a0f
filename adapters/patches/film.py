"""A scale and an offset after every convolution, also where norms were folded away.

Perez, Strub, de Vries, Dumoulin, Courville, "FiLM", arXiv 1709.07871, without a condition; as
Shysheya et al., "FiT", arXiv 2206.08671, transfer with it. On MobileNetV2 1.0: 34,112 values, as
`scale_bias`, and the same functions where a norm follows.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from adapters.layers.optional import IDENTITY
from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.replacement import stored_bits, with_leaves

_LEAVES = ("scale", "offset")


def film() -> Patch:
    """Each task adds `scale` [C] and `offset` [C] to every convolution; they start as 1 and 0."""

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        del key
        channels = {
            path: leaves["w"].shape[-1]
            for path, leaves in weights.items()
            if "w" in leaves and f"{path}/norm" in weights
        }
        trained = {
            path: {name: jnp.full((count,), IDENTITY[name]) for name in _LEAVES}
            for path, count in channels.items()
        }
        return PatchParams(trained)

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        return with_leaves(weights, params.trained)

    def cost(params: PatchParams) -> Mapping[str, Any]:
        return stored_bits("insert", params.trained)

    def pack(params: PatchParams) -> LeafEdits:
        return {"insert": params.trained} if params.trained else {}

    return Patch(init=init, apply=apply, cost=cost, pack=pack)
