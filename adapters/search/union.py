"""What several routes share: the smallest network that holds them all."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from adapters.search.blocks import BlockSpace


def union(space: BlockSpace, routes: Sequence[np.ndarray]) -> np.ndarray:
    """The route [D] of what any of `routes` keeps; two that keep a node share its weights.

    What a route leaves undecided, inside a block that it skips, asks for nothing.
    """
    found = np.stack(routes)
    asked = np.asarray(space.space.active(jnp.asarray(found)))
    largest = np.where(asked, found, 0).max(axis=0).astype(np.int32)
    for own in space.places.values():
        if "skip" in own:
            largest[own["skip"]] = found[:, own["skip"]].min()
    return largest
