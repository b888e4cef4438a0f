"""Patches made of patches."""

from collections.abc import Collection, Mapping
from typing import Any

import jax

from adapters.backbones.table import LayerTable
from adapters.backbones.taps import place, unread
from adapters.modules import block_of
from adapters.patches.contract import (
    Context,
    Inputs,
    LeafEdits,
    Patch,
    PatchParams,
    Predicate,
    Prepared,
    Weights,
    no_look,
)
from adapters.patches.merge import merge_edits
from adapters.patches.replacement import leaves_where, with_leaves
from adapters.patches.settings import check_patch
from adapters.spec import joined


def chain(*patches: Patch) -> Patch:
    """Applies `patches` in order, each to the weights that the one before it made.

    `pack` raises UnmergeableEditsError where a file cannot express that order, and this
    PatchSettingError for what is no patch.

    >>> from adapters.patches.bias import bias
    >>> from adapters.patches.depthwise import depthwise
    >>> weights = {"block_01/depthwise": {"w": jax.numpy.ones((3, 3, 1, 8))}}
    >>> patch = chain(bias(), depthwise())
    >>> patch.cost(patch.init(jax.random.key(0), weights))
    {'replace/block_01/depthwise/w': 2304}
    """

    for patch in patches:
        check_patch(patch)

    def each(params: PatchParams) -> list[tuple[Patch, PatchParams]]:
        own = map(PatchParams, params.trained, params.measured, params.fixed)
        return list(zip(patches, own, strict=True))

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        keys = jax.random.split(key, max(len(patches), 1))
        # Each patch must see what the earlier ones left, optional leaves included.
        parts = []
        for patch, own_key in zip(patches, keys, strict=False):
            parts.append(patch.init(own_key, weights))
            weights = patch.apply(weights, parts[-1], {})
        return PatchParams(*(tuple(fields) for fields in zip(*parts, strict=True)))

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        for patch, own in each(params):
            weights = patch.apply(weights, own, context)
        return weights

    def extend(key: jax.Array, weights: Weights) -> Weights:
        for index, patch in enumerate(patches):
            weights = patch.extend(jax.random.fold_in(key, index), weights)
        return weights

    def prepare(weights: Weights, inputs: Inputs, context: Context) -> Prepared:
        whole = Prepared({}, {}, {})
        for patch in patches:
            seen = patch.prepare(with_leaves(weights, whole.leaves), inputs, context)
            whole = Prepared(
                {
                    path: {**whole.leaves.get(path, {}), **seen.leaves.get(path, {})}
                    for path in {**whole.leaves, **seen.leaves}
                },
                {**whole.auxiliary, **seen.auxiliary},
                {**whole.moments, **seen.moments},
                {**whole.maps, **seen.maps},
            )
        return whole

    def penalty(params: PatchParams, context: Context) -> Any:
        return sum((patch.penalty(own, context) for patch, own in each(params)), 0.0)

    def cost(params: PatchParams) -> Mapping[str, Any]:
        total: dict[str, Any] = {}
        for patch, own in each(params):
            # A later patch's edit of a leaf takes the place of an earlier one's in the file.
            total.update(patch.cost(own))
        return total

    def pack(params: PatchParams) -> LeafEdits:
        return merge_edits([patch.pack(own) for patch, own in each(params)])

    def rates(weights: Weights, params: PatchParams, context: Context) -> Any:
        return tuple(patch.rates(weights, own, context) for patch, own in each(params))

    def for_maps(maps: Mapping[str, str]) -> Patch:
        return chain(*(reading(patch, maps) for patch in patches))

    asks = any(patch.for_maps is not None for patch in patches)
    looks = any(patch.prepare is not no_look for patch in patches)
    needs = tuple(dict.fromkeys(need for patch in patches for need in patch.needs))
    return Patch(
        *(init, apply, extend, prepare if looks else no_look, penalty, cost, pack, rates, needs),
        spec=joined([patch.spec for patch in patches]),
        for_maps=for_maps if asks else None,
        reads_texts=any(patch.reads_texts for patch in patches),
    )


def reading(patch: Patch, maps: Mapping[str, str]) -> Patch:
    """A patch for tasks whose heads read these maps, {name: endpoint}, of the spec that it has."""
    return patch if patch.for_maps is None else patch.for_maps(maps)._replace(spec=patch.spec)


def for_heads(patch: Patch, table: LayerTable, names: Collection[str]) -> Patch:
    """A patch for tasks whose heads read the maps called so, of the spec that it has.

    What none of them needs of a neck it leaves alone. Raises UnknownNameError for no such map.
    """
    own, idle = reading(patch, {name: place(table, name) for name in names}), unread(table, names)
    within = select(lambda path, name, leaf: block_of(path) not in idle, own) if idle else own
    return within._replace(spec=patch.spec)


def select(predicate: Predicate, patch: Patch) -> Patch:
    """Lets `patch` see and change only the leaves for which `predicate(path, name, leaf)` holds.

    >>> from adapters.patches.scale_bias import scale_bias
    >>> weights = {f"block_{i:02d}/norm": {"scale": jax.numpy.ones(4)} for i in (9, 10)}
    >>> late = select(lambda path, name, leaf: path >= "block_10", scale_bias())
    >>> late.cost(late.init(jax.random.key(0), weights))
    {'replace/block_10/norm/scale': 128}
    """

    def visible(weights: Weights) -> Weights:
        return leaves_where(predicate, weights)

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        return patch.init(key, visible(weights))

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        return with_leaves(weights, patch.apply(visible(weights), params, context))

    def for_maps(maps: Mapping[str, str]) -> Patch:
        return select(predicate, reading(patch, maps))

    asks = patch.for_maps is not None
    return patch._replace(init=init, apply=apply, for_maps=for_maps if asks else None)
