"""A patch that skips blocks, made by hand: what a family of routes would be made of."""

import jax.numpy as jnp

from adapters.backbones import registry
from adapters.backbones.sites import sites
from adapters.patches.contract import Patch, PatchParams
from adapters.patches.replacement import stored_bits, with_leaves
from adapters.patches.straight_through import above
from tests import narrow

START, THRESHOLD = 0.01, 0.0
TABLES = (narrow.TABLE, registry.table("mobilenet_v2_1.0"))


def opening() -> Patch:
    """Each task has a score a block that may be skipped: those above the threshold are open."""

    def init(key, weights):
        del key
        (table,) = (t for t in TABLES if {site.path for site in sites(t)} == weights.keys())
        places = [site.path for site in sites(table) if site.takes_open]
        return PatchParams({path: jnp.full(1, START, jnp.float32) for path in places})

    def leaves(params):
        return {path: {"open": above(score, THRESHOLD)} for path, score in params.trained.items()}

    return Patch(
        init=init,
        apply=lambda weights, params, context: with_leaves(weights, leaves(params)),
        cost=lambda params: stored_bits("insert", leaves(params)),
        pack=lambda params: {"insert": leaves(params)},
    )
