"""Norms modulated by a small vector that comes with an image: a place, or what is asked.

A feature map F becomes (1 + g) F + b, channel by channel, with (g, b) the output of a network of
two layers that reads the vector (Perez, Strub, de Vries, Dumoulin, Courville, "FiLM: Visual
Reasoning with a General Conditioning Layer", arXiv 1709.07871). Mac Aodha, Cole, Perona,
"Presence-Only Geographical Priors for Fine-Grained Image Classification", arXiv 1906.05272, is why
a place helps; to write it into the last norms of a frozen backbone is our reconstruction. The
second layer starts at zero, so that nothing is changed, and has no bias, which a scale_bias patch
beside it would have. On MobileNetV2 1.0: 37,136 values.
"""

from typing import Any

import jax
import jax.numpy as jnp

from adapters.modules import kind_of, network_of, running_order
from adapters.patches.contract import (
    Context,
    Inputs,
    Need,
    Patch,
    PatchParams,
    Prepared,
    Weights,
)
from adapters.patches.naming import named
from adapters.patches.replacement import stored_bits
from adapters.patches.settings import PatchSettingError, check_setting
from adapters.patches.sizes import size_of
from adapters.vocabulary import MODULE


@named
def conditional(reads: str = "place", size: int = 3, hidden: int = 4, norms: int = 6) -> Patch:
    """Each task owns a network from an input to the scales and offsets of the last norms.

    It comes last in a chain: a patch after it would take the network's layers for the backbone's.

    Args:
      reads: name of the input.
      size: numbers in it.
      hidden: units of the network.
      norms: how many of the backbone's last norms are modulated.

    Raises PatchSettingError; so does `init` for weights with fewer norms.
    """
    check_setting("reads", reads, reads.isidentifier() and reads != "image", "an input's name")
    check_setting("size", size, 1 <= size <= 4096, "from 1 to 4096")
    check_setting("hidden", hidden, hidden >= 1, "1 or more")
    check_setting("norms", norms, norms >= 1, "1 or more")
    first, second = f"conditional/{reads}/hidden", f"conditional/{reads}/modulation"

    def modulated(weights: Weights) -> list[str]:
        found = [
            path
            for path, leaves in weights.items()
            if kind_of(leaves) == "norm" and not network_of(path)
        ]
        if len(found) < norms:
            raise PatchSettingError(
                f"conditional(norms={norms}) modulates more norms than the {len(found)} there are."
            )
        return sorted(found, key=running_order)[-norms:]

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        channels = sum(weights[path]["scale"].shape[0] for path in modulated(weights))
        drawn = jax.random.normal(key, (size, hidden), jnp.float32) * size**-0.5
        return PatchParams(
            {
                first: {"w": drawn, "b": jnp.zeros(hidden)},
                second: {"w": jnp.zeros((hidden, 2 * channels))},
            }
        )

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        return {**weights, **params.trained}

    def prepare(weights: Weights, inputs: Inputs, context: Context) -> Prepared:
        del context
        units = jnp.tanh(inputs[reads] @ weights[first]["w"] + weights[first]["b"])
        left = units @ weights[second]["w"]
        leaves = {}
        for path in modulated(weights):
            scale, offset = weights[path]["scale"], weights[path]["offset"]
            count = scale.shape[0]
            gain, shift, left = 1 + left[:count], left[count : 2 * count], left[2 * count :]
            leaves[path] = {"scale": scale * gain, "offset": offset * gain + shift}
        return Prepared(leaves, {}, {})

    def rates(weights: Weights, params: PatchParams, context: Context) -> Any:
        del params, context
        units = []
        for path in modulated(weights):
            scale = weights[path]["scale"]
            units += [jnp.ones_like(scale), jnp.full_like(scale, size_of(weights[path], "offset"))]
        return {first: 1.0, second: {"w": jnp.concatenate(units)}}

    return Patch(
        init=init,
        apply=apply,
        prepare=prepare,
        rates=rates,
        cost=lambda params: stored_bits(MODULE, params.trained),
        pack=lambda params: {MODULE: params.trained},
        needs=(Need(reads, (size,)),),
    )
