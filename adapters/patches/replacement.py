"""Patches that own a copy of some leaves: the core of bias, scale/bias, depthwise and full."""

from collections.abc import Mapping
from typing import Any

import jax

from adapters.errors import ModelPatchError
from adapters.modules import kind_of, norm_of
from adapters.patches.contract import (
    Context,
    LeafEdits,
    Patch,
    PatchParams,
    Predicate,
    Weights,
)
from adapters.patches.sizes import own_sizes
from adapters.vocabulary import MODULATION, OPTIONAL


class ForeignLeavesError(ModelPatchError):
    """Leaves meant for modules that the weights do not have."""


def replacement(owned: Predicate) -> Patch:
    """A patch that trains its own value of every leaf for which `owned(path, name, leaf)` holds.

    Starts from the shared values, so that the network begins unchanged to the bit. Leaves that
    another patch of a chain added to a layer stay that one's.
    """

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        del key
        return PatchParams(
            leaves_where(
                lambda path, name, leaf: (
                    owned(path, name, leaf) and not _is_added(weights, path, name)
                ),
                weights,
            )
        )

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        return with_leaves(weights, params.trained)

    def cost(params: PatchParams) -> Mapping[str, Any]:
        return stored_bits("replace", params.trained)

    def pack(params: PatchParams) -> LeafEdits:
        return {"replace": params.trained} if params.trained else {}

    return Patch(init=init, apply=apply, cost=cost, pack=pack, rates=own_sizes)


def _is_added(weights: Weights, path: str, name: str) -> bool:
    """Whether a leaf is one that only patches bring; norms have a scale and an offset anyway."""
    if name in MODULATION:
        # A convolution is known by its norm too: `select` may have hidden the kernel.
        return kind_of(weights[path]) != "norm" or norm_of(path) in weights
    return name in OPTIONAL


def leaves_where(owned: Predicate, weights: Weights) -> dict[str, dict[str, jax.Array]]:
    """The part of `weights` for which `owned(path, name, leaf)` holds."""
    kept = {
        path: {name: leaf for name, leaf in leaves.items() if owned(path, name, leaf)}
        for path, leaves in weights.items()
    }
    return {path: leaves for path, leaves in kept.items() if leaves}


def with_leaves(weights: Weights, leaves: Weights) -> Weights:
    """`weights` with `leaves` put over them; neither is changed.

    Raises:
      ForeignLeavesError: `leaves` names a module that `weights` lack.
    """
    foreign = sorted(leaves.keys() - weights.keys())
    if foreign:
        more = " and more" if len(foreign) > 3 else ""
        raise ForeignLeavesError(
            f"the patch has leaves for {', '.join(foreign[:3])}{more}, which this backbone lacks; "
            "use the backbone that the patch was made for."
        )
    return {path: {**named, **leaves.get(path, {})} for path, named in weights.items()}


def stored_bits(kind: str, leaves: Weights) -> dict[str, int]:
    """Bits a file spends on each leaf's values in edits of `kind`: {"KIND/PATH/LEAF": bits}."""
    return {
        f"{kind}/{path}/{name}": leaf.size * leaf.dtype.itemsize * 8
        for path, named in leaves.items()
        for name, leaf in named.items()
    }
