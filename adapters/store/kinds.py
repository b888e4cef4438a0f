"""The kinds of leaf edits: a closed set, so that a device can do any patch with a few functions.

Edits are `{kind: {module: {name: array}}}`. A name is the leaf's own, or `LEAF.PART` for a kind
whose edit has several parts. Several kinds may meet in one leaf; they are done in the order of
`KINDS`, whatever order they were given in.

| kind | name | array | the leaf W becomes |
|---|---|---|---|
| `module` | any leaf's | float32 | the array, in a module of the patch's own |
| `insert` | one of `INSERTED` | float32 | the array; the backbone has the module, no such leaf |
| `replace` | `w` | float32, W's shape | the array |
| `mask` | `w` | bits | W * M |
| `affine_mask` | `w.mask` | bits | k0 W + k1 + k2 M + k3 W M |
| | `w.coefficients` | float32 [4] | k0 to k3 |
| `mixture` | `w.coefficients` | float32 [N] | W + sum_n c_n B_n, of the leaf `bases` [N, ...] |
| `low_rank` | `w.down` | float32 [in, r] | W + down @ up, for W [in, out] |
| | `w.up` | float32 [r, out] | |
| `add` | `w` | float32, W's shape | W + the array |

Bits are uint8 [ceil(n / 8)] for the n elements of W in C order, as `numpy.packbits` packs them: the
first is the highest of its byte; what is left of the last byte is zero. M is 0 or 1 of W's shape.
The affine form is that of Mancini et al., "Adding New Tasks to a Single Network with Weight
Transformations using Binary Masks" (arXiv 1805.11119).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

MODULE = "module"
KINDS = (MODULE, "insert", "replace", "mask", "affine_mask", "mixture", "low_rank", "add")
MASK, COEFFICIENTS, DOWN, UP = "mask", "coefficients", "down", "up"
PARTS: Mapping[str, tuple[str, ...]] = {
    "affine_mask": (MASK, COEFFICIENTS),
    "mixture": (COEFFICIENTS,),
    "low_rank": (DOWN, UP),
}
STATISTICS = ("mean", "var")
BASES = "bases"  # the leaf that `mixture` takes from
# What an `insert` may add to a convolution, and which other one each needs beside it.
INSERTED: Mapping[str, str | None] = {
    "scale": None,
    "offset": None,
    "side_down": "side_up",
    "side_up": "side_down",
    "adapter": None,
    "adapter_down": "adapter_up",
    "adapter_kernel": "adapter_down",
    "adapter_up": "adapter_down",
}

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Edits = Mapping[str, Mapping[str, Mapping[str, Array]]]
EditShapes = Mapping[str, Mapping[str, Mapping[str, Shape]]]
Shapes = Mapping[str, Mapping[str, Shape]]


def leaf_and_part(kind: str, name: str) -> tuple[str, str]:
    """The leaf that `name` edits, and which part of the edit it is; "" for a kind without parts.

    >>> leaf_and_part("low_rank", "w.down")
    ('w', 'down')
    """
    if kind not in PARTS:
        return name, ""
    leaf, _, part = name.rpartition(".")
    return leaf, part


def is_bits(kind: str, name: str) -> bool:
    """Whether an edit's array is packed bits (uint8); all others are float32."""
    return kind == "mask" or (kind == "affine_mask" and leaf_and_part(kind, name)[1] == MASK)


def stays_float32(kind: str, name: str) -> bool:
    """Whether an edit's array is stored as float32 in every encoding."""
    leaf, part = leaf_and_part(kind, name)
    return part == COEFFICIENTS or leaf in STATISTICS


def dtype(kind: str, name: str) -> npt.DTypeLike:
    """What an edit's array holds in memory."""
    return np.uint8 if is_bits(kind, name) else np.float32
