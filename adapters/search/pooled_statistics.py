"""Norm statistics over all tasks together, where each would have its own.

What Wang et al. (WACV 2021) did is not known; this is the control of private statistics for every
node and domain, which a network of shared weights suffers from as far as domains differ. Every
image counts at every norm, those of tasks that skip a norm's block as well.
"""

from typing import Any

import jax
import jax.numpy as jnp

from adapters.backbones.builder import Backbone, Outputs, Weights
from adapters.vocabulary import Folded, NormMode


def pooled_statistics(backbone: Backbone) -> Backbone:
    """`backbone`, whose norms take their moments over the images of all tasks in a batch.

    Each task's row of moments holds those of all.
    """

    def apply(
        weights: Weights,
        image: jax.Array,
        mode: NormMode | Folded = "frozen",
        membership: jax.Array | None = None,
        axis_names: tuple[str, ...] = (),
        **settings: Any,
    ) -> Outputs:
        if membership is not None:
            membership = (jnp.arange(len(membership)) == 0).astype(membership.dtype)
        found = backbone.apply(weights, image, mode, membership, axis_names, **settings)
        moments = jax.tree.map(lambda rows: jnp.broadcast_to(rows[:1], rows.shape), found.moments)
        return found._replace(moments=moments)

    return backbone._replace(apply=apply)
