"""Gates round a patch, one a layer or a block: an open one lets the patch through.

Weights become w + g (w' - w), where w' is what the inner patch makes of w: a closed gate leaves the
layer, its norm and the norm's statistics as the base has them, to the bit. A gate is
g = [score > THRESHOLD], hard forward and the identity backward (Bengio et al., arXiv 1308.3432).
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from adapters.modules import block_of, layer_of
from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.layer import bits_by_layer, path_of
from adapters.patches.settings import PatchSettingError
from adapters.patches.straight_through import above
from adapters.vocabulary import OPTIONAL

# Wallingford et al., arXiv 2203.16708, start and cut there too, as their released code does.
START, THRESHOLD = 0.15, 0.1

Group = Literal["layer", "block"]
Scores = Mapping[str, jax.Array]

GROUPS: Mapping[str, Callable[[str], str]] = {
    "layer": layer_of,
    "block": block_of,
}


class Gates(NamedTuple):
    """What a patch does behind gates; `params` are the inner patch's, `scores` {group: scalar}.

    Attributes:
      bits: (params) -> {group: stored bits with its gate open}; raises PatchSettingError if none.
      apply: (weights, params, scores, context) -> weights.
      cost, pack: (params, scores) -> as the contract's, of what open gates let through.
    """

    bits: Callable[[PatchParams], dict[str, float]]
    apply: Callable[[Weights, PatchParams, Scores, Context], Weights]
    cost: Callable[[PatchParams, Scores], Mapping[str, Any]]
    pack: Callable[[PatchParams, Scores], LeafEdits]


def gates(inner: Patch, per: Group) -> Gates:
    """Gates round `inner`, one for each layer, a convolution with its norm, or for each block."""
    group_of = GROUPS[per]

    def bits(params: PatchParams) -> dict[str, float]:
        total = bits_by_layer(inner.cost(params), group_of)
        if not total:
            raise PatchSettingError("the patch inside gates changes no layer: nothing to gate.")
        return total

    def apply(weights: Weights, params: PatchParams, scores: Scores, context: Context) -> Weights:
        gated = {}
        for path, leaves in inner.apply(weights, params, context).items():
            base = weights[path]
            gated[path] = {
                name: leaf
                if leaf is base.get(name)
                else _gated(_shared(base, name, leaf), leaf, scores[group_of(path)])
                for name, leaf in leaves.items()
            }
        return gated

    def cost(params: PatchParams, scores: Scores) -> Mapping[str, Any]:
        return {
            key: count * above(scores[group_of(path_of(key))], THRESHOLD)
            for key, count in inner.cost(params).items()
        }

    def pack(params: PatchParams, scores: Scores) -> LeafEdits:
        kept = {
            kind: {
                path: leaves
                for path, leaves in modules.items()
                if bool(scores[group_of(path)] > THRESHOLD)
            }
            for kind, modules in inner.pack(params).items()
        }
        return {kind: modules for kind, modules in kept.items() if modules}

    return Gates(bits, apply, cost, pack)


def _shared(base: Mapping[str, jax.Array], name: str, leaf: jax.Array) -> jax.Array:
    """What stands in the place of `leaf` where a gate is closed.

    The inward half of a path stays: its outward half is shut, and tells the gate what it would do.
    """
    if name in base:
        return base[name]
    identity = OPTIONAL[name].identity
    return leaf if identity is None else jnp.full_like(leaf, identity)


@jax.custom_vjp
def _gated(shared: jax.Array, patched: jax.Array, score: jax.Array) -> jax.Array:
    """shared + g * (patched - shared), exactly the one or the other."""
    return jnp.where(score > THRESHOLD, patched, shared)


def _forward(shared: jax.Array, patched: jax.Array, score: jax.Array) -> tuple[jax.Array, Any]:
    return _gated(shared, patched, score), (score > THRESHOLD, patched - shared)


def _backward(saved: Any, gradient: Any) -> tuple[Any, Any, Any]:
    is_open, change = saved
    zero = jnp.zeros_like(gradient)
    return (
        jnp.where(is_open, zero, gradient),
        jnp.where(is_open, gradient, zero),
        jnp.sum(gradient * change),
    )


_gated.defvjp(_forward, _backward)
