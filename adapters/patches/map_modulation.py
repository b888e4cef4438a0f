"""Maps that are modulated by a vector before a head reads them; the network stays as it is.

As `adapters.patches.modulation`, but a map F becomes (1 + g) F + b where the head takes it, behind
norm and activation: no layer of the backbone sees it. The network has a second layer for each map,
which its path names, so that a file says by itself which are modulated.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from adapters.backbones.taps import FEATURES
from adapters.modules import BLOCK, POOLED, STEM, TAIL, running_order
from adapters.patches.contract import (
    Context,
    Inputs,
    Modulated,
    Need,
    Patch,
    PatchParams,
    Prepared,
    Weights,
)
from adapters.patches.embeddings import Embeddings
from adapters.patches.replacement import stored_bits
from adapters.patches.settings import PatchSettingError
from adapters.vocabulary import KERNEL, MODULE


def map_modulation(
    name: str,
    need: Need,
    hidden: int,
    spread: float,
    of_texts: bool = False,
    maps: Mapping[str, str] | None = None,
) -> Patch:
    """Each task owns a network from an input to the gains and shifts of what its head reads.

    Args:
      name: of the network in a file; others of a chain have others.
      need: the input, a vector.
      hidden: units of the network.
      spread: standard deviation of the first layer's weights at the start.
      of_texts: whether the first layer's rows are made of texts; see `adapters.patches.embeddings`.
      maps: as `Patch.for_maps` takes them; None before it is asked: `init` then raises
        PatchSettingError.
    """
    first, seconds = f"{name}/{need.name}/hidden", f"{name}/{need.name}/maps/"
    (numbers,) = need.shape
    embeddings = Embeddings(first, numbers, hidden, spread, of_texts)

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        if maps is None:
            raise PatchSettingError(
                f"{name}(at=head) is for heads that read known maps, and nobody said which: train "
                "it with its tasks."
            )
        trained, fixed = embeddings.init(key)
        layers = {
            seconds + own: {"w": jnp.zeros((hidden, 2 * _width(weights, endpoint)))}
            for own, endpoint in maps.items()
        }
        return PatchParams({**trained, **layers}, fixed=fixed)

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        return {**weights, **embeddings.modules(params)}

    def prepare(weights: Weights, inputs: Inputs, context: Context) -> Prepared:
        del context
        units = jnp.tanh(inputs[need.name] @ weights[first]["w"] + weights[first]["b"])
        found = {}
        for path in sorted(path for path in weights if path.startswith(seconds)):
            both = units @ weights[path]["w"]
            channels = both.shape[0] // 2
            found[path.removeprefix(seconds)] = Modulated(1 + both[:channels], both[channels:])
        return Prepared({}, {}, {}, found)

    return Patch(
        init=init,
        apply=apply,
        prepare=prepare,
        cost=lambda params: stored_bits(MODULE, embeddings.modules(params)),
        pack=lambda params: {MODULE: embeddings.modules(params)},
        needs=(need,),
        reads_texts=of_texts,
        for_maps=lambda maps: map_modulation(name, need, hidden, spread, of_texts, maps),
    )


def _width(weights: Weights, endpoint: str) -> int:
    """Channels of an endpoint of a backbone: those that its last layer with a kernel gives."""
    own = [
        path
        for path, leaves in weights.items()
        if KERNEL in leaves
        and (
            path.startswith((STEM, BLOCK, TAIL, POOLED))
            if endpoint == FEATURES
            else path == endpoint or path.startswith(f"{endpoint}/")
        )
    ]
    last = max(own, key=running_order)
    return weights[last][KERNEL].shape[-1]
