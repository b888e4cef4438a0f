"""A route as weights: what it leaves out is made to do nothing, in arrays of one shape.

So one compiled program serves every route, and a batch mixes domains, each with its own. Left-out
channels are those at the end: their norms, inside the block, have scale and offset 0, so that
nothing leaks through a norm's offset. The outer ring of a kernel is 0. Squeeze-excite that is off
has a gate of 1: its weights are 0 and its bias is far on the flat side. A skipped block's last norm
has scale and offset 0, and the input is added to 0. That equals the network of `cropped.py`, whose
arrays are really smaller.
"""

from typing import Any

import jax
import jax.numpy as jnp

from adapters.backbones.rows import InvertedResidual
from adapters.modules import NORM_NAME
from adapters.patches.contract import Weights
from adapters.search.blocks import SKIPPED, BlockSpace
from adapters.vocabulary import BIAS, KERNEL, MODULATION

OPEN_GATE = 30.0  # sigmoids and hard sigmoids of it are 1 in float32


def masked(space: BlockSpace, weights: Weights, route: jax.Array) -> Weights:
    """The leaves of `weights` that `route` [D] int32 changes, changed."""
    rows = dict(space.table.named_rows())
    found: dict[str, dict[str, Any]] = {}
    for block, places in space.places.items():
        row = rows[block]
        assert isinstance(row, InvertedResidual)

        def number(kind: str, places: Any = places) -> jax.Array:
            """What the route's option is called, a whole number."""
            decision = space.space.decisions[places[kind]]
            return jnp.asarray([int(name) for name in decision.options])[route[places[kind]]]

        if "expansion" in places:
            kept = (jnp.arange(row.expanded) < number("expansion")).astype(jnp.float32)
            for layer in ("expand", "depthwise"):
                _scale_norm(found, weights, f"{block}/{layer}", kept)
        if "kernel" in places:
            path = f"{block}/depthwise"
            ring = jnp.abs(jnp.arange(row.kernel) - row.kernel // 2)
            inside = jnp.maximum(ring[:, None], ring[None]) <= number("kernel") // 2
            kernel = weights[path][KERNEL]
            found.setdefault(path, {})[KERNEL] = kernel * inside[..., None, None].astype(
                kernel.dtype
            )
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


def _scale_norm(
    found: dict[str, dict[str, Any]], weights: Weights, layer: str, factor: jax.Array
) -> None:
    path = f"{layer}/{NORM_NAME}"
    found[path] = {name: weights[path][name] * factor for name in MODULATION}
