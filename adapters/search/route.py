"""Each task's route through the largest network, as a patch of which nothing is trained."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.replacement import with_leaves
from adapters.search.blocks import BlockSpace, largest
from adapters.search.masks import masked
from adapters.search.space import SpaceError

Arrays = Mapping[str, Mapping[str, np.ndarray]]


ROUTE = "route"
"""What the leaf of a task's route is called, wherever it stands among a chain's."""


def route(space: BlockSpace) -> Patch:
    """Each task takes a route of `space`; the largest, until another is written into `fixed`.

    It comes last in a chain: it makes what other patches leave do nothing. Its `pack` knows the
    largest route alone, which is no edit: what another one stores depends on the weights that it
    masks, see `differences`.
    """
    whole = largest(space)

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        del key, weights
        return PatchParams(fixed={ROUTE: jnp.asarray(whole)})

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        return with_leaves(weights, masked(space, weights, params.fixed[ROUTE]))

    def pack(params: PatchParams) -> LeafEdits:
        if not np.array_equal(params.fixed[ROUTE], whole):
            raise SpaceError("a route is stored as what it makes of the weights: `differences`.")
        return {}

    return Patch(init=init, apply=apply, pack=pack)


def differences(before: Arrays, after: Arrays | Weights) -> LeafEdits:
    """What a file stores so that `before` becomes `after`: every leaf that is another one."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for path, leaves in after.items():
        for name, leaf in leaves.items():
            if not np.array_equal(leaf, before[path][name]):
                found.setdefault(path, {})[name] = np.asarray(leaf)
    return {"replace": found} if found else {}
