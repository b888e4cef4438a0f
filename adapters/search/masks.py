"""A route as weights: what it leaves out is made to do nothing, in arrays of one shape.

So one compiled program serves every route, and a batch mixes domains, each with its own. Left-out
channels are those at the end: their norms, inside the block, have scale and offset 0, so that
nothing leaks through a norm's offset. The outer ring of a kernel is 0. A depthwise layer that is
left out is passed by (`layers.optional`). Squeeze-excite that is off has a gate of 1: its weights
are 0 and its bias is far on the flat side. A skipped block's last norm has scale and offset 0, and
the input is added to 0. That equals the network of `cropped.py`, whose arrays are really smaller.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adapters.modules import NORM_NAME
from adapters.patches.contract import Weights
from adapters.search.blocks import NONE, SKIPPED, BlockSpace
from adapters.vocabulary import (
    BIAS,
    BYPASS,
    KERNEL,
    MEAN,
    MODULATION,
    OFFSET,
    SCALE,
    VARIANCE,
)

Arrays = Mapping[str, Mapping[str, np.ndarray]]

DEPTHWISE = {"start_kernel": "start_depthwise", "kernel": "depthwise"}
"""Which layer a decision of its kernel is about."""
OPEN_GATE = 30.0  # sigmoids and hard sigmoids of it are 1 in float32


def masked(space: BlockSpace, weights: Weights, route: jax.Array) -> Weights:
    """The leaves of `weights` that `route` [D] int32 changes, changed."""
    found: dict[str, dict[str, Any]] = {}
    for block, places in space.places.items():
        row = space.row(block)

        def number(kind: str, places: Any = places) -> jax.Array:
            """What the route's option is called, a whole number."""
            decision = space.space.decisions[places[kind]]
            return jnp.asarray([int(name) for name in decision.options])[route[places[kind]]]

        if "expansion" in places:
            kept = (jnp.arange(row.expanded) < number("expansion")).astype(jnp.float32)
            for layer in ("expand", "depthwise")[: 2 if row.kernel else 1]:
                _scale_norm(found, weights, f"{block}/{layer}", kept)
        for kind, layer in DEPTHWISE.items():
            if kind in places:
                path, side = f"{block}/{layer}", number(kind)
                found[path] = {KERNEL: _middle(weights[path][KERNEL], side)}
                if NONE in space.space.decisions[places[kind]].options:
                    found[path][BYPASS] = (side == 0).astype(jnp.float32).reshape(1)
        if "squeeze_excite" in places:
            path = f"{block}/squeeze_excite/expand"
            on = route[places["squeeze_excite"]] == 1
            leaves = weights[path]
            found[path] = {
                KERNEL: jnp.where(on, leaves[KERNEL], 0),
                BIAS: jnp.where(on, leaves[BIAS], OPEN_GATE),
            }
        if "skip" in places:
            options = space.space.decisions[places["skip"]].options
            stays = (route[places["skip"]] != options.index(SKIPPED)).astype(jnp.float32)
            _scale_norm(found, weights, f"{block}/project", stays)
    return found


def stored(space: BlockSpace, weights: Arrays, epsilon: float) -> Arrays:
    """`weights` of a route as a file holds them: what is passed by there does nothing instead.

    Such a layer's kernel is 1 in the middle, and its norm, of `epsilon`, changes nothing; what it
    is given is activated already.
    """
    found = {path: dict(leaves) for path, leaves in weights.items()}
    for block, places in space.places.items():
        for path in (f"{block}/{DEPTHWISE[kind]}" for kind in DEPTHWISE if kind in places):
            bypass = found[path].pop(BYPASS, None)
            if bypass is None or not bypass[0] > 0:
                continue
            kernel = np.zeros_like(found[path][KERNEL])
            kernel[len(kernel) // 2, len(kernel) // 2] = 1
            found[path][KERNEL] = kernel
            norm = f"{path}/{NORM_NAME}"
            nothing = {SCALE: 1, OFFSET: 0, MEAN: 0, VARIANCE: 1 - epsilon}
            found[norm] = {n: np.full_like(found[norm][n], x) for n, x in nothing.items()}
    return found


def _middle(kernel: jax.Array, side: jax.Array) -> jax.Array:
    """`kernel` [k, k, 1, C] without what lies outside of `side` x `side`."""
    ring = jnp.abs(jnp.arange(len(kernel)) - len(kernel) // 2)
    inside = jnp.maximum(ring[:, None], ring[None]) <= side // 2
    return kernel * inside[..., None, None].astype(kernel.dtype)


def _scale_norm(
    found: dict[str, dict[str, Any]], weights: Weights, layer: str, factor: jax.Array
) -> None:
    path = f"{layer}/{NORM_NAME}"
    found[path] = {name: weights[path][name] * factor for name in MODULATION}
