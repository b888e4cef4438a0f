"""A task's own norm statistics, measured rather than trained.

Sharing running means and variances over tasks silently destroys accuracy (arXiv 1810.10703 keeps
them per task); chain this to a patch whenever the norm mode is not `frozen`.
"""

from collections.abc import Mapping
from typing import Any

import jax

from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.replacement import leaves_where, stored_bits, with_leaves
from adapters.vocabulary import STATISTICS


def statistics() -> Patch:
    """Each task owns the `mean` and `var` of every norm, in `measured`."""

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        del key
        return PatchParams(
            measured=leaves_where(lambda path, name, leaf: name in STATISTICS, weights)
        )

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        return with_leaves(weights, params.measured)

    def cost(params: PatchParams) -> Mapping[str, Any]:
        return stored_bits("replace", params.measured)

    def pack(params: PatchParams) -> LeafEdits:
        return {"replace": params.measured}

    return Patch(init=init, apply=apply, cost=cost, pack=pack)


def measure(measured: Any, moments: Weights, decay: float | jax.Array) -> Any:
    """Moves `measured` towards `moments` of the same task: decay * old + (1 - decay) * new.

    Args:
      measured: `PatchParams.measured`, of any patch or chain.
      moments: {norm path: {"mean", "var"}} from the network.
      decay: share of the old value that is kept, in [0, 1].
    """

    def move(path: tuple[Any, ...], old: jax.Array) -> jax.Array:
        module, name = (key.key for key in path[-2:])
        return decay * old + (1 - decay) * moments[module][name]

    return jax.tree.map_with_path(move, measured)
