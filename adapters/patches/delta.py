"""A dense change of every kernel, layer by layer.

What `spotpatch` gates in the form of Wallingford et al., "Task Adaptive Parameter Sharing for
Multi-Task Learning", CVPR 2022, arXiv 2203.16708: w + d. On MobileNetV2 1.0: 2,189,760 values.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.naming import named
from adapters.patches.replacement import leaves_where, stored_bits, with_leaves
from adapters.patches.sizes import own_sizes


@named
def delta() -> Patch:
    """Each task adds its own array to every kernel `w`; it starts at zero."""

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        del key
        kernels = leaves_where(lambda path, name, leaf: name == "w", weights)
        return PatchParams(jax.tree.map(jnp.zeros_like, kernels))

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        changed = {
            path: {name: weights[path][name] + change for name, change in leaves.items()}
            for path, leaves in params.trained.items()
        }
        return with_leaves(weights, changed)

    def cost(params: PatchParams) -> Mapping[str, Any]:
        return stored_bits("add", params.trained)

    def pack(params: PatchParams) -> LeafEdits:
        return {"add": params.trained} if params.trained else {}

    return Patch(init=init, apply=apply, cost=cost, pack=pack, rates=own_sizes)
