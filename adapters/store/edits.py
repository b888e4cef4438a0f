"""Does what a patch says to a backbone's weights; see `adapters.store.kinds` for the kinds."""

from collections.abc import Callable, Mapping

import numpy as np

from adapters.store.edit_shapes import check_kinds, check_padding, check_parts, check_shapes
from adapters.store.kinds import (
    BASES,
    COEFFICIENTS,
    DOWN,
    KINDS,
    MASK,
    MODULE,
    UP,
    Array,
    Edits,
    leaf_and_part,
)

Parts = Mapping[str, Array]


def apply_edits(
    weights: Mapping[str, Mapping[str, Array]], edits: Edits
) -> dict[str, dict[str, Array]]:
    """The weights `{module: {leaf: array}}` with every edit done; `weights` stays as it was.

    Where several kinds meet in one leaf, they are done in the order of `KINDS`. Leaves without an
    edit are shared with `weights`, not copied. Raises UnsupportedFeatureError for an unknown kind,
    SchemaError for parts or bits that make no edit, ShapeMismatchError for an edit that does not
    fit its leaf.
    """
    check_kinds(edits)
    edit_shapes = {kind: _shapes(edits[kind]) for kind in edits}
    shapes = _shapes(weights)
    check_parts(edit_shapes)
    check_shapes(edit_shapes, shapes)
    check_padding(edits, shapes)
    patched = {module: dict(leaves) for module, leaves in weights.items()}
    for kind in KINDS:
        for module, arrays in edits.get(kind, {}).items():
            for leaf, parts in _by_leaf(kind, arrays).items():
                if kind in _GIVEN:
                    patched.setdefault(module, {})[leaf] = parts[""]
                elif kind == "mixture":
                    patched[module][leaf] = mixture(patched[module][leaf], patched[module], parts)
                else:
                    patched[module][leaf] = _CHANGED[kind](patched[module][leaf], parts)
    return patched


def mask(leaf: Array, parts: Parts) -> Array:
    """W * M."""
    return leaf * unpacked(parts[""], leaf.shape)


def affine_mask(leaf: Array, parts: Parts) -> Array:
    """k0 W + k1 + k2 M + k3 W M."""
    k0, k1, k2, k3 = parts[COEFFICIENTS]
    bits = unpacked(parts[MASK], leaf.shape)
    return k0 * leaf + k1 + k2 * bits + k3 * leaf * bits


def mixture(leaf: Array, beside: Mapping[str, Array], parts: Parts) -> Array:
    """W + sum_n c_n B_n."""
    return leaf + np.tensordot(parts[COEFFICIENTS], beside[BASES], 1)


def low_rank(leaf: Array, parts: Parts) -> Array:
    """W + down @ up."""
    return leaf + parts[DOWN] @ parts[UP]


def add(leaf: Array, parts: Parts) -> Array:
    """W + the array."""
    return leaf + parts[""]


def unpacked(bits: Array, shape: tuple[int, ...]) -> Array:
    """Packed bits as 0.0 and 1.0, float32 of `shape`."""
    return np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(np.float32)


_GIVEN = (MODULE, "insert", "replace")
_CHANGED: Mapping[str, Callable[[Array, Parts], Array]] = {
    "mask": mask,
    "affine_mask": affine_mask,
    "low_rank": low_rank,
    "add": add,
}


def _by_leaf(kind: str, arrays: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    leaves: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        leaf, part = leaf_and_part(kind, name)
        leaves.setdefault(leaf, {})[part] = array
    return leaves


def _shapes(weights: Mapping[str, Mapping[str, Array]]) -> dict[str, dict[str, tuple[int, ...]]]:
    return {
        module: {leaf: tuple(array.shape) for leaf, array in leaves.items()}
        for module, leaves in weights.items()
    }
