"""A patch of the last layers alone: the same ones for every task."""

from collections.abc import Set

import jax

from adapters.patches.combine import select
from adapters.patches.contract import Context, Patch, PatchParams, Weights
from adapters.patches.depth import depth
from adapters.patches.gates import GROUPS
from adapters.patches.settings import PatchSettingError, check_setting

layer_of = GROUPS["layer"]


def last(inner: Patch, layers: int | None = None, budget_bits: int | None = None) -> Patch:
    """Lets `inner` see the last layers only, a layer being a convolution with its norm.

    Args:
      inner: what to do there.
      layers: how many of those that `inner` would change.
      budget_bits: or, as many as need no more than these stored bits.

    Raises PatchSettingError unless one of the two is given.

    >>> from adapters.patches.bias import bias
    >>> norm = {"offset": jax.numpy.ones(4)}
    >>> weights = {"block_01/expand/norm": norm, "stem/norm": norm, "tail/norm": norm}
    >>> patch = last(bias(), layers=2)
    >>> sorted(patch.init(jax.random.key(0), weights).trained)
    ['block_01/expand/norm', 'tail/norm']
    """
    if (layers is None) == (budget_bits is None):
        raise PatchSettingError(
            "the patch last(...) takes layers=... or budget_bits=..., not both."
        )
    check_setting("layers", layers, layers is None or layers >= 1, "1 or more")
    check_setting("budget_bits", budget_bits, budget_bits is None or budget_bits >= 0, "0 or more")

    def chosen(weights: Weights) -> Set[str]:
        bits: dict[str, int] = {}
        made = jax.eval_shape(inner.init, jax.random.key(0), weights)
        for key, count in inner.cost(made).items():
            layer = layer_of(key.split("/", 1)[1].rpartition("/")[0])
            bits[layer] = bits.get(layer, 0) + count
        kept: set[str] = set()
        left = budget_bits
        for layer in sorted(bits, key=depth, reverse=True):
            if left is not None:
                left -= bits[layer]
            if len(kept) == layers or (left is not None and left < 0):
                break
            kept.add(layer)
        return kept

    def visible(weights: Weights) -> Patch:
        kept = chosen(weights)
        return select(lambda path, name, leaf: layer_of(path) in kept, inner)

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        return visible(weights).init(key, weights)

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        return visible(weights).apply(weights, params, context)

    return inner._replace(init=init, apply=apply)
