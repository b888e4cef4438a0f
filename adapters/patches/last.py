"""A patch of the last layers alone: the same ones for every task."""

from collections.abc import Set
from typing import Any

import jax

from adapters.modules import layer_of, running_order
from adapters.patches.contract import Patch, PatchParams, Weights
from adapters.patches.layer import bits_by_layer
from adapters.patches.naming import named
from adapters.patches.settings import PatchSettingError, check_setting


@named
def last(inner: Patch, layers: int | None = None, budget_bits: int | None = None) -> Patch:
    """Keeps of `inner` what it does to the last layers, a layer being a convolution with its norm.

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
        raise PatchSettingError("the patch last(...) takes one of layers=... and budget_bits=...")
    check_setting("layers", layers, layers is None or layers >= 1, "1 or more")
    check_setting("budget_bits", budget_bits, budget_bits is None or budget_bits >= 0, "0 or more")

    def chosen(made: PatchParams) -> Set[str]:
        try:
            bits = bits_by_layer(inner.cost(made))
        except TypeError as error:
            raise PatchSettingError(
                "last(...) goes inside gates, not round them: spotpatch(last(...)), say."
            ) from error
        kept: set[str] = set()
        left = budget_bits
        for layer in sorted(bits, key=running_order, reverse=True):
            if left is not None:
                left -= bits[layer]
            if len(kept) == layers or (left is not None and left < 0):
                break
            kept.add(layer)
        return kept

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        kept = chosen(jax.eval_shape(inner.init, key, weights))
        made = inner.init(key, weights)
        return PatchParams(*(_of_layers(kept, tree) for tree in made))

    return inner._replace(init=init)


def _of_layers(kept: Set[str], tree: Any) -> Any:
    """The part of a patch's params, {module path: leaves} or tuples of these, for some layers."""
    if isinstance(tree, tuple):
        return tuple(_of_layers(kept, part) for part in tree)
    return {path: leaves for path, leaves in tree.items() if layer_of(path) in kept}
