"""The empty patch: the task owns its head and nothing of the backbone."""

import jax

from adapters.patches.contract import Context, Patch, PatchParams, Weights
from adapters.patches.naming import named


@named
def head_only() -> Patch:
    """Leaves every weight as it is; the baseline each patch must beat.

    >>> head_only().cost(PatchParams())
    {}
    """

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        del key, weights
        return PatchParams()

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del params, context
        return weights

    return Patch(init=init, apply=apply)
