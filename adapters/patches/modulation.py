"""Norms that are modulated by a vector which comes with an image: a place, or what is asked.

A feature map F becomes (1 + g) F + b, channel by channel, with (g, b) the output of a network of
two layers that reads the vector (Perez, Strub, de Vries, Dumoulin, Courville, "FiLM: Visual
Reasoning with a General Conditioning Layer", arXiv 1709.07871). It is written into the norms of a
frozen backbone, after their statistics: our reconstruction. The second layer starts at zero, so
that nothing is changed, and has no bias, which a scale_bias patch beside it would have.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from adapters.patches.contract import (
    Context,
    Inputs,
    Need,
    Patch,
    PatchParams,
    Prepared,
    Weights,
)
from adapters.patches.embeddings import Embeddings
from adapters.patches.replacement import stored_bits
from adapters.patches.sizes import size_of
from adapters.vocabulary import MODULE


def modulation(
    name: str,
    need: Need,
    hidden: int,
    spread: float,
    modulated: Callable[[Weights], list[str]],
    of_texts: bool = False,
) -> Patch:
    """Each task owns a network from an input to the scales and offsets of some norms.

    It comes last in a chain: a patch after it would take the network's layers for the backbone's.

    Args:
      name: of the network in a file; others of a chain have others.
      need: the input, a vector.
      hidden: units of the network.
      spread: standard deviation of the first layer's weights at the start.
      modulated: (weights) -> paths of the norms, in a fixed order.
      of_texts: whether the first layer's rows are made of texts; see `adapters.patches.embeddings`.
    """
    first, second = f"{name}/{need.name}/hidden", f"{name}/{need.name}/modulation"
    (numbers,) = need.shape
    embeddings = Embeddings(first, numbers, hidden, spread, of_texts)

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        channels = sum(weights[path]["scale"].shape[0] for path in modulated(weights))
        trained, fixed = embeddings.init(key)
        trained[second] = {"w": jnp.zeros((hidden, 2 * channels))}
        return PatchParams(trained, fixed=fixed)

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        return {**weights, **embeddings.modules(params)}

    def prepare(weights: Weights, inputs: Inputs, context: Context) -> Prepared:
        del context
        units = jnp.tanh(inputs[need.name] @ weights[first]["w"] + weights[first]["b"])
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
        return {**embeddings.rates(), second: {"w": jnp.concatenate(units)}}

    return Patch(
        init=init,
        apply=apply,
        prepare=prepare,
        rates=rates,
        cost=lambda params: stored_bits(MODULE, embeddings.modules(params)),
        pack=lambda params: {MODULE: embeddings.modules(params)},
        needs=(need,),
        reads_texts=of_texts,
    )
