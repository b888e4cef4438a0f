"""Makes the files of `tests/data/patches/` that are about edits: a good one of every kind in every
encoding, and bad ones for what can be wrong in each.

Spelled out without `adapters`, as `make_patches` is. All three encodings hold the same numbers:
whole ones from -127 to 127 over 64, with a 127 in every channel, which each of them has exactly.

    python -m tests.store.make_kind_patches
"""

import math
from typing import Any, NamedTuple

from tests.store import make_patches
from tests.store.make_patches import CARD, Tensors, assemble

KINDS = ("module", "insert", "replace", "mask", "affine_mask", "mixture", "low_rank", "add")
ENCODINGS = ("float32", "float16", "int8")
SHAPES = {
    "stem": {"w": (3, 5), "bases": (2, 3, 5)},
    "stem/norm": {"mean": (5,), "offset": (5,)},
    "depthwise": {"w": (3, 3, 1, 3)},
}
SCALE = 1 / 64

# What each kind edits: shapes of numbers, and whatever is stored alike in every encoding.
Places = dict[str, list[int] | tuple[list[int], list[Any], str]]
STEM_BITS = ([2], [0b10100101, 0b11000010], "U8")
EDITS: dict[str, Places] = {
    "module": {"query/hidden/w": [3, 5], "query/hidden/b": [5]},
    "insert": {"stem/side_down": [3, 2], "stem/side_up": [2, 5], "stem/norm/scale": [5]},
    "replace": {
        "depthwise/w": [3, 3, 1, 3],
        "stem/norm/mean": ([5], [0.1, -0.0, 3.25, 1e-30, -7.0], "F32"),
    },
    "mask": {"stem/w": STEM_BITS},
    "affine_mask": {
        "depthwise/w.mask": ([4], [255, 0, 0b10011001, 0b10100000], "U8"),
        "depthwise/w.coefficients": ([4], [1.0, 0.3, -0.1, 1e-3], "F32"),
    },
    "mixture": {"stem/w.coefficients": ([2], [0.3, -0.1], "F32")},
    "low_rank": {"stem/w.down": [3, 2], "stem/w.up": [2, 5]},
    "add": {"stem/w": [3, 5], "stem/norm/mean": ([5], [0.1, 0.2, 0.3, 0.4, 0.5], "F32")},
}
HEAD: Places = {"head/w": [3, 2], "head/b": [2]}
PREVIEW: Places = {"head/preview/w": [4, 2], "head/preview/b": [2]}  # a head beside it


class Bad(NamedTuple):
    """A file to refuse: its bytes, the name of the error, and what the message says."""

    content: bytes
    error: str
    said: str


def wholes(shape: list[int]) -> list[int]:
    """Whole numbers [shape] in row-major order; the first of each channel is 127."""
    channels = shape[-1] if len(shape) > 1 else 1
    return [127 if i < channels else 37 * i % 255 - 127 for i in range(math.prod(shape))]


def stored(places: Places, encoding: str) -> Tensors:
    """The tensors of a file in `encoding`, scales included."""
    tensors: Tensors = {}
    for name, place in places.items():
        if isinstance(place, tuple):
            tensors[name] = place
        elif encoding == "int8":
            channels = place[-1] if len(place) > 1 else 1
            tensors[name] = (place, wholes(place), "I8")
            tensors[f"scale/{name}"] = ([channels], [SCALE] * channels)
        else:
            numbers = [SCALE * whole for whole in wholes(place)]
            tensors[name] = (place, numbers, {"float32": "F32", "float16": "F16"}[encoding])
    return tensors


def places(kind: str) -> Places:
    """What a good file of this kind holds, by the tensors' names."""
    if not kind:
        return HEAD | PREVIEW
    return {f"edit/{kind}/{name}": place for name, place in EDITS[kind].items()} | HEAD


def card(kind: str, encoding: str, **fields: Any) -> dict[str, Any]:
    needed = [f"edit/{kind}"] + ([] if encoding == "float32" else [f"encoding/{encoding}"])
    return CARD | {"patch": kind, "must_understand": needed, "encoding": encoding} | fields


def good(kind: str, encoding: str) -> bytes:
    return assemble(card(kind, encoding), stored(places(kind), encoding))


def previewed(
    encoding: str, preview: Places, listed: tuple[str, ...] = ("auxiliary",), features: int = 4
) -> bytes:
    """A file without edits, that has a head beside its own."""
    needed = [*listed] + ([] if encoding == "float32" else [f"encoding/{encoding}"])
    described = CARD["head"] | {"auxiliary": {"preview": features}}
    fields = {"must_understand": needed, "head": described}
    return assemble(card("basisnet", encoding, **fields), stored(HEAD | preview, encoding))


def changed(
    kind: str,
    edits: Places,
    encoding: str = "float32",
    scales: Tensors | None = None,
    without: str = "",
    **fields: Any,
) -> bytes:
    """A good file but for these edits of its kind, scales and fields of the card."""
    named = places(kind) | {f"edit/{kind}/{name}": place for name, place in edits.items()}
    tensors = stored(named, encoding) | (scales or {})
    tensors.pop(without, None)
    return assemble(card(kind, encoding, **fields), tensors)


def goods() -> dict[str, tuple[str, str, bytes]]:
    """`{file name: (kind of its edits, encoding, bytes)}`; the kind is "" where it has none."""
    edited = {
        f"{kind}_{encoding}.patch": (kind, encoding, good(kind, encoding))
        for kind in KINDS
        for encoding in ENCODINGS
    }
    return edited | {
        f"auxiliary_{encoding}.patch": ("", encoding, previewed(encoding, PREVIEW))
        for encoding in ENCODINGS
    }


def bads() -> dict[str, Bad]:
    """`{file name: a file to refuse}`, each for one reason alone; the digest of each is right."""
    made = {**_of_kinds(), **_of_encodings(), **_of_heads()}
    return {f"{name}.patch": bad for name, bad in made.items()}


def _of_kinds() -> dict[str, Bad]:
    def insert(**leaves: Any) -> bytes:
        named = {f"edit/insert/stem/{name}": shape for name, shape in leaves.items()}
        return assemble(card("insert", "float32"), stored(named | HEAD, "float32"))

    halves = ([4], [1.0, 0.5, 0.25, 2.0], "F16")
    infinite = ([4], [1.0, math.inf, 0.0, 0.0], "F32")
    low_rank = "edit/low_rank/stem/w.up"
    unlisted = changed("add", {}, must_understand=[])
    shape, schema = "ShapeMismatchError", "SchemaError"
    return {
        "module_there_already": Bad(
            changed("module", {"stem/w": [3, 5]}), shape, "brings a module stem, which the backbone"
        ),
        "insert_unknown_leaf": Bad(
            insert(mix=[3, 5]), "UnsupportedFeatureError", "inserts stem/mix; layers know scale"
        ),
        "insert_half_a_path": Bad(insert(side_down=[3, 2]), schema, "without stem/side_up"),
        "insert_misshapen_path": Bad(
            insert(side_down=[3, 2], side_up=[3, 5]), schema, "are [2, 3] wide"
        ),
        "insert_flat_path": Bad(
            insert(side_down=[6], side_up=[2, 5]), schema, "stem/side_down of the shape [6]"
        ),
        "insert_narrow_path": Bad(
            insert(side_down=[3, 2], side_up=[2, 4]), shape, "stem/side_up [2, 4], which no layer"
        ),
        "insert_large_kernel": Bad(
            insert(adapter_down=[3, 1], adapter_kernel=[13, 13, 1, 1], adapter_up=[1, 5]),
            shape,
            "stem/adapter_kernel [13, 13, 1, 1], which no layer",
        ),
        "insert_there_already": Bad(
            changed("insert", {"stem/norm/offset": [5]}), shape, "offset, which the backbone has"
        ),
        "insert_no_such_module": Bad(
            changed("insert", {"tail/scale": [5]}), shape, "the backbone has no module tail"
        ),
        "replace_no_such_leaf": Bad(
            changed("replace", {"stem/b": [5]}), shape, "stem/b, which the backbone does not have"
        ),
        "replace_misshapen": Bad(
            changed("replace", {"depthwise/w": [3, 3, 3, 1]}), shape, "w is [3, 3, 3, 1], the"
        ),
        "mask_too_few_bytes": Bad(
            changed("mask", {"stem/w": ([1], [255], "U8")}), shape, "1 bytes of bits, the backbone"
        ),
        "mask_too_many_bytes": Bad(
            changed("mask", {"stem/w": ([3], [255, 254, 0], "U8")}), shape, "3 bytes of bits"
        ),
        "mask_stray_bit": Bad(
            changed("mask", {"stem/w": ([2], [255, 255], "U8")}), schema, "beyond the leaf's 15"
        ),
        "mask_of_rows": Bad(
            changed("mask", {"stem/w": ([1, 2], [255, 254], "U8")}), schema, "one row of bytes"
        ),
        "mask_of_numbers": Bad(
            changed("mask", {"stem/w": ([2], [1.0, 0.0], "F32")}), schema, "it is U8 [2]"
        ),
        "affine_mask_without_mask": Bad(
            changed("affine_mask", {}, without="edit/affine_mask/depthwise/w.mask"),
            schema,
            "lacks its part w.mask",
        ),
        "affine_mask_three_coefficients": Bad(
            changed("affine_mask", {"depthwise/w.coefficients": ([3], [1.0, 0.0, 0.0], "F32")}),
            schema,
            "coefficients [3], not [4]",
        ),
        "affine_mask_rounded_coefficients": Bad(
            changed("affine_mask", {"depthwise/w.coefficients": halves}, "float16"),
            schema,
            "w.coefficients is F16 [4], in float16 it is F32 [4]",
        ),
        "affine_mask_infinite": Bad(
            changed("affine_mask", {"depthwise/w.coefficients": infinite}),
            "NotFiniteError",
            "w.coefficients holds NaN or an infinity",
        ),
        "affine_mask_stray_bit": Bad(
            changed("affine_mask", {"depthwise/w.mask": ([4], [0, 0, 0, 1], "U8")}),
            schema,
            "beyond the leaf's 27",
        ),
        "mixture_of_no_bases": Bad(
            changed("mixture", {"depthwise/w.coefficients": ([2], [1.0, 0.0], "F32")}),
            shape,
            "bases into depthwise/w; this backbone has none for it",
        ),
        "mixture_of_other_bases": Bad(
            changed("mixture", {"stem/w.coefficients": ([3], [1.0, 0.0, 0.0], "F32")}),
            shape,
            "mixes 3 bases into stem/w; the backbone has 2",
        ),
        "mixture_of_rows": Bad(
            changed("mixture", {"stem/w.coefficients": ([1, 2], [1.0, 0.0], "F32")}),
            schema,
            "coefficients [1, 2], not [N]",
        ),
        "mixture_of_masks": Bad(
            changed("mixture", {"stem/w.mask": [2]}), schema, "its parts are LEAF.coefficients"
        ),
        "low_rank_one_part": Bad(
            changed("low_rank", {}, without=low_rank), schema, "lacks its part w.up"
        ),
        "low_rank_two_ranks": Bad(
            changed("low_rank", {"stem/w.up": [3, 5]}), schema, "down [3, 2] and up [3, 5]"
        ),
        "low_rank_misshapen": Bad(
            changed("low_rank", {"stem/w.down": [4, 2]}), shape, "w.down is [4, 2], the backbone's"
        ),
        "low_rank_of_a_vector": Bad(
            changed("low_rank", {"stem/norm/mean.down": [5, 1], "stem/norm/mean.up": [1, 1]}),
            shape,
            "a leaf [5], not [in, out]",
        ),
        "add_misshapen": Bad(
            changed("add", {"stem/w": [5, 3]}), shape, "w is [5, 3], the backbone's is [3, 5]"
        ),
        "add_not_listed": Bad(unlisted, schema, "must_understand does not list"),
    }


def _of_encodings() -> dict[str, Bad]:
    name = "edit/add/stem/w"
    scale, head_scale = f"scale/{name}", "scale/head/w"

    def scales(*values: float) -> bytes:
        return changed("add", {}, "int8", {scale: ([len(values)], list(values))})

    def quantised(least: int) -> bytes:
        return changed(
            "add",
            {"stem/w": ([3, 5], [*[127] * 5, *[0] * 9, least], "I8")},
            "int8",
            {scale: ([5], [SCALE] * 5)},
        )

    listed = ["edit/add", "encoding/bfloat16"]
    halves = stored(places("add"), "float16")
    infinite = ([3, 5], [math.inf] + [0.0] * 14, "F16")
    rounded_mean = ([5], [127, 0, 0, 0, 0], "I8")
    schema = "SchemaError"
    return {
        "float16_not_said": Bad(
            assemble(card("add", "float32"), halves), schema, "is F16 [3, 5], in float32"
        ),
        "float16_not_listed": Bad(
            changed("add", {}, "float16", must_understand=["edit/add"]),
            schema,
            "must_understand does not list",
        ),
        "float16_infinite": Bad(
            changed("add", {"stem/w": infinite}, "float16"), "NotFiniteError", "stem/w holds NaN"
        ),
        "encoding_unknown": Bad(
            changed("add", {}, must_understand=listed),
            "UnsupportedFeatureError",
            "needs 'encoding/bfloat16'",
        ),
        "int8_without_scale": Bad(
            changed("add", {}, "int8", without=scale), schema, f"{scale} is missing"
        ),
        "int8_scale_of_nothing": Bad(
            changed("add", {}, "int8", {"scale/edit/add/stem/norm/mean": ([1], [SCALE])}),
            schema,
            "the scale of no tensor that int8 scales",
        ),
        "int8_scale_too_short": Bad(scales(*[SCALE] * 4), schema, "is F32 [4], in int8 it is F32"),
        "int8_scale_zero": Bad(scales(SCALE, SCALE, 0.0, SCALE, SCALE), schema, "not above zero"),
        "int8_scale_negative": Bad(scales(-SCALE, *[SCALE] * 4), schema, "not above zero"),
        "int8_scale_nan": Bad(scales(math.nan, *[SCALE] * 4), schema, "not above zero"),
        "int8_scale_infinite": Bad(scales(math.inf, *[SCALE] * 4), schema, "not above zero"),
        "int8_scale_overflows": Bad(scales(2.0**127, *[SCALE] * 4), "NotFiniteError", "holds NaN"),
        "int8_scale_of_many_bits": Bad(
            scales(SCALE * (1 + 2**-20), *[SCALE] * 4), schema, "numbers that int8 spells otherwise"
        ),
        "int8_without_127": Bad(
            changed(
                "add",
                {},
                "int8",
                {"head/w": ([3, 2], [64, 127, 0, 0, 0, 0], "I8"), head_scale: ([2], [SCALE] * 2)},
            ),
            schema,
            "head/w holds numbers that int8 spells otherwise",
        ),
        "int8_minus_128": Bad(quantised(-128), schema, "numbers that int8 spells otherwise"),
        "int8_rounded_mean": Bad(
            changed("add", {"stem/norm/mean": rounded_mean}, "int8"), schema, "it is F32 [5]"
        ),
    }


def _of_heads() -> dict[str, Bad]:
    half = {"head/preview/w": PREVIEW["head/preview/w"]}
    wide: Places = {"head/preview/w": [4, 3], "head/preview/b": [3]}
    schema = "SchemaError"
    return {
        "auxiliary_not_listed": Bad(
            previewed("float32", PREVIEW, listed=()), schema, "must_understand does not list"
        ),
        "auxiliary_not_there": Bad(
            previewed("float32", {}), schema, "must_understand does not list"
        ),
        "auxiliary_half": Bad(previewed("float32", half), schema, "the head is not w"),
        "auxiliary_misdescribed": Bad(
            previewed("float32", PREVIEW, features=5), schema, "describes another head"
        ),
        "auxiliary_of_other_classes": Bad(
            previewed("float32", wide), "LabelsError", "3 columns in head/preview/w"
        ),
    }


def patches() -> dict[str, bytes]:
    """`{file name: bytes}` of all of them."""
    return {name: content for name, (_, _, content) in goods().items()} | {
        name: bad.content for name, bad in bads().items()
    }


if __name__ == "__main__":
    make_patches.write(patches())
