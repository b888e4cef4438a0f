"""Edits of several patches made into those of one file."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from adapters.errors import ModelPatchError
from adapters.patches.contract import LeafEdits

Parts = Mapping[str, Any]

# The kinds, in the order in which whoever applies a file does them, and their parts.
ORDER = ("module", "insert", "replace", "mask", "affine_mask", "mixture", "low_rank", "add")
PARTS: Mapping[str, tuple[str, ...]] = {
    "affine_mask": ("mask", "coefficients"),
    "mixture": ("coefficients",),
    "low_rank": ("down", "up"),
}


class UnmergeableEditsError(ModelPatchError):
    """Edits of one leaf in an order that a patch file cannot express."""


def merge_edits(edits: Sequence[LeafEdits]) -> LeafEdits:
    """One set of edits with the effect of applying `edits` in order; sums may round otherwise.

    Raises:
      UnmergeableEditsError: a file does its kinds of edits in the order of `ORDER`, and these need
        another one; or a leaf is inserted twice.
    """
    merged: dict[tuple[str, str], dict[str, Parts]] = {}
    for packed in edits:
        for kind in sorted(packed, key=_place):
            for path, named in packed[kind].items():
                for leaf, parts in _by_leaf(kind, named).items():
                    _follow(merged.setdefault((path, leaf), {}), kind, parts, f"{path}/{leaf}")
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for (path, leaf), kinds in merged.items():
        for kind, whole in kinds.items():
            arrays = result.setdefault(kind, {}).setdefault(path, {})
            arrays.update({f"{leaf}.{p}" if p else leaf: array for p, array in whole.items()})
    return result


def _follow(own: dict[str, Parts], kind: str, parts: Parts, where: str) -> None:
    """Adds to a leaf's `own` edits one that comes after them."""
    if kind == "replace":
        kept = next((kind for kind in _ADDED if kind in own), "replace")
        own.clear()
        own[kept] = parts
        return
    before = next((earlier for earlier in own if earlier in _NEVER_BEFORE[kind]), None)
    if before is not None:
        raise UnmergeableEditsError(
            f"{where} has an edit of the kind {kind!r} after one of {before!r}, which a patch file "
            "cannot hold: chain the patches in another order, or let them edit other leaves."
        )
    own[kind] = _JOINED[kind](own[kind], parts) if kind in own else parts


# What only adds may change places; of nothing else that comes later in `ORDER` this holds.
_ADDED = ("module", "insert")  # leaves that the backbone has not
_NEVER_BEFORE: Mapping[str, tuple[str, ...]] = {
    "module": ORDER,
    "insert": ORDER,
    "mask": (*_ADDED, "affine_mask", "mixture", "low_rank", "add"),
    "affine_mask": (*_ADDED, "affine_mask", "mixture", "low_rank", "add"),
    "mixture": _ADDED,
    "low_rank": _ADDED,
    "add": _ADDED,
}
_JOINED: Mapping[str, Callable[[Parts, Parts], Parts]] = {
    "mask": lambda first, second: {"": first[""] & second[""]},
    "mixture": lambda first, second: {
        "coefficients": first["coefficients"] + second["coefficients"]
    },
    "low_rank": lambda first, second: {
        "down": jnp.concatenate([first["down"], second["down"]], axis=1),
        "up": jnp.concatenate([first["up"], second["up"]], axis=0),
    },
    "add": lambda first, second: {"": first[""] + second[""]},
}


def _place(kind: str) -> int:
    if kind not in ORDER:
        raise UnmergeableEditsError(
            f"a patch packs edits of the kind {kind!r}, which no file holds: {', '.join(ORDER)}."
        )
    return ORDER.index(kind)


def _by_leaf(kind: str, named: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    leaves: dict[str, dict[str, Any]] = {}
    for name, array in named.items():
        leaf, _, part = name.rpartition(".") if kind in PARTS else (name, "", "")
        leaves.setdefault(leaf, {})[part] = array
    return leaves
