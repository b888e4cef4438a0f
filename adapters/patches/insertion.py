"""Patches that add leaves of their own to layers: the core of film and the adapters."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.replacement import stored_bits, with_leaves


def insertion(
    leaves: Callable[[jax.Array, Weights], Weights], sizes: Callable[[Weights], Any]
) -> Patch:
    """A patch that trains the optional leaves that `leaves` (key, weights) makes.

    Their first values must leave the network's outputs as they are, to the bit. `sizes` (weights)
    gives the units they learn in, {module path: {leaf: scalar}}, of those and perhaps of more.
    """

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        return PatchParams(leaves(key, weights))

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        return with_leaves(weights, params.trained)

    def cost(params: PatchParams) -> Mapping[str, Any]:
        return stored_bits("insert", params.trained)

    def pack(params: PatchParams) -> LeafEdits:
        return {"insert": params.trained} if params.trained else {}

    def rates(weights: Weights, params: PatchParams, context: Context) -> Any:
        del context
        found = sizes(weights)
        return {path: found[path] for path in params.trained}

    return Patch(init=init, apply=apply, cost=cost, pack=pack, rates=rates)
