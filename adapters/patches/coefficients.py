"""Patches of a few numbers: what each task takes of bases that all tasks share.

After the personalised BasisNet (Zhang et al., arXiv 2105.03014, and Google's released code for it),
where a user owns the coefficients alone. There they are a softmax; here they are free and start at
zero, w + sum_n c_n bases_n, so that the network begins unchanged. Where bases are what other tasks
changed of the kernel, that is task arithmetic with learned coefficients (Ilharco et al., arXiv
2212.04089).
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from adapters.patches.bases import (
    Kernels,
    Sharing,
    check_settings,
    layers_with_bases,
    with_bases,
)
from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.naming import named
from adapters.patches.replacement import with_leaves


@named
def coefficients(
    bases: int = 4,
    blocks: int = 3,
    kernels: Kernels = "pointwise",
    tail: bool = False,
    per: Sharing = "layer",
    spread: float = 0.1,
) -> Patch:
    """Each task mixes the shared bases by its own coefficients.

    Args:
      bases: N; see `adapters.patches.bases.with_bases`, also for the next three and the last.
      blocks: how many of the last blocks have them.
      kernels: for which convolutions: `pointwise`, `depthwise` or `both`.
      tail: whether the 1x1 convolution after the last block has bases, too.
      per: coefficients [N] of every `layer`, or the same [N] for the whole `network`.
      spread: of bases that are drawn because the weights have none.

    Raises PatchSettingError.
    """
    check_settings(bases, blocks, kernels, per, spread)

    def extend(key: jax.Array, weights: Weights) -> Weights:
        return with_bases(key, weights, bases, blocks, kernels, tail, spread)

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        del key
        layers = layers_with_bases(weights)
        owners = layers if per == "layer" else [per]
        # The layers stand among what is fixed, as names without a value.
        return PatchParams(
            trained={owner: jnp.zeros((bases,), jnp.float32) for owner in owners},
            fixed=dict.fromkeys(layers, ()),
        )

    def by_layer(params: PatchParams) -> dict[str, jax.Array]:
        return {path: params.trained[path if per == "layer" else per] for path in params.fixed}

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        mixed = {
            path: {"w": weights[path]["w"] + jnp.tensordot(mix, weights[path]["bases"], 1)}
            for path, mix in by_layer(params).items()
        }
        return with_leaves(weights, mixed)

    def cost(params: PatchParams) -> Mapping[str, Any]:
        return {f"mixture/{path}/w.coefficients": 32 * bases for path in params.fixed}

    def pack(params: PatchParams) -> LeafEdits:
        mixes = {path: {"w.coefficients": mix} for path, mix in by_layer(params).items()}
        return {"mixture": mixes}

    return Patch(init=init, apply=apply, extend=extend, cost=cost, pack=pack)
