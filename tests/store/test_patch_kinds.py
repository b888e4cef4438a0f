"""What each kind of edit does, and every way it is refused; numpy's own words as the reference."""

import numpy as np
import pytest

from adapters.store import errors
from adapters.store.edits import apply_edits
from adapters.vocabulary import EDIT_KINDS
from tests.store import every_kind

W = np.float32([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
BITS = np.uint8([0b10000100, 0b10000000])  # of nine elements: 1, 0, 0, 0, 0, 1, 0, 0 and 1
MASK = np.float32([[1, 0, 0], [0, 0, 1], [0, 0, 1]])
DOWN, UP = np.float32([[1], [0], [-1]]), np.float32([[2, 0, 1]])
K = np.float32([2, 0.5, 4, -1])


@pytest.fixture
def weights():
    return {"stem": {"w": W.copy()}, "stem/norm": {"offset": np.zeros(3, np.float32)}}


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ({"mask": {"w": BITS}}, [[1, 0, 0], [0, 0, 6], [0, 0, 9]]),
        (
            {"affine_mask": {"w.mask": BITS, "w.coefficients": K}},
            # 2 W + 0.5, and where the mask is one, W + 4.5
            [[5.5, 4.5, 6.5], [8.5, 10.5, 10.5], [14.5, 16.5, 13.5]],
        ),
        ({"low_rank": {"w.down": DOWN, "w.up": UP}}, [[3, 2, 4], [4, 5, 6], [5, 8, 8]]),
        ({"add": {"w": 2 * W}}, 3 * W),
        # Given in another order than they are done in: masked, then added to.
        ({"add": {"w": W}, "mask": {"w": BITS}}, W * MASK + W),
        ({"low_rank": {"w.down": DOWN, "w.up": UP}, "replace": {"w": -W}}, DOWN @ UP - W),
    ],
)
def test_what_each_kind_does(weights, edits, expected):
    edits = {kind: {"stem": arrays} for kind, arrays in edits.items()}
    patched = apply_edits(weights, edits)["stem"]["w"]
    np.testing.assert_array_equal(patched, expected)
    assert patched.dtype == np.float32
    np.testing.assert_array_equal(weights["stem"]["w"], W)


def test_an_optional_leaf_is_inserted(weights):
    scale = np.float32([1, 2, 3])
    patched = apply_edits(weights, {"insert": {"stem/norm": {"scale": scale}}})
    assert patched["stem/norm"].keys() == {"scale", "offset"}
    assert patched["stem/norm"]["scale"] is scale
    assert "scale" not in weights["stem/norm"]


def test_the_example_has_every_kind():
    assert set(every_kind.edits()) == set(EDIT_KINDS)
    assert apply_edits(every_kind.weights(), every_kind.edits())["stem/norm"].keys() == {
        *every_kind.SHAPES["stem/norm"],
        "scale",
    }
    added = apply_edits(every_kind.weights(), every_kind.edits())["query/hidden"]
    np.testing.assert_array_equal(added["w"], every_kind.edits()["module"]["query/hidden"]["w"])


@pytest.mark.parametrize(
    ("kind", "module", "arrays", "error", "match"),
    [
        (
            "insert",
            "stem/norm",
            {"offset": W[0]},
            errors.ShapeMismatchError,
            "stem/norm/offset, which the backbone has",
        ),
        ("insert", "tail", {"scale": W[0]}, errors.ShapeMismatchError, "no module tail"),
        ("insert", "stem", {"w": W}, errors.UnsupportedFeatureError, "layers know scale, offset"),
        ("insert", "stem", {"mix": W}, errors.UnsupportedFeatureError, "inserts stem/mix"),
        ("insert", "stem", {"side_up": W}, errors.SchemaError, "without stem/side_down"),
        ("insert", "stem", {"adapter_up": W}, errors.SchemaError, "without stem/adapter_down"),
        ("insert", "stem", {"scale": W}, errors.SchemaError, r"of the shape \[3, 3\]"),
        (
            "insert",
            "stem",
            {"scale": W[0, :2]},
            errors.ShapeMismatchError,
            "no layer of 3 channels",
        ),
        ("insert", "stem", {"side_down": DOWN, "side_up": W}, errors.SchemaError, "wide"),
        (
            *("insert", "stem", {"side_down": np.ones((3, 9)), "side_up": np.ones((9, 3))}),
            *(errors.ShapeMismatchError, "no layer of 3 channels"),
        ),
        (
            *("insert", "stem", {"adapter": np.ones((5000, 3), np.float32)}),
            *(errors.ShapeMismatchError, "no layer of 3 channels"),
        ),
        (
            "insert",
            "stem",
            {
                "adapter_down": DOWN,
                "adapter_kernel": np.ones((13, 13, 1, 1), np.float32),
                "adapter_up": UP,
            },
            errors.ShapeMismatchError,
            "adapter_kernel",
        ),
        ("add", "stem", {"b": W}, errors.ShapeMismatchError, "stem/b, which the backbone does not"),
        ("add", "stem", {"w": W[0]}, errors.ShapeMismatchError, r"stem/w is \[3\].*\[3, 3\]"),
        ("mask", "stem", {"b": BITS}, errors.ShapeMismatchError, "stem/b, which"),
        ("mask", "stem", {"w": BITS[:1]}, errors.ShapeMismatchError, "1 bytes of bits.* needs 2"),
        ("mask", "stem", {"w": BITS[None]}, errors.SchemaError, "one row of bytes"),
        ("mask", "stem", {"w": BITS + np.uint8(1)}, errors.SchemaError, "beyond the leaf's 9"),
        ("affine_mask", "stem", {"w": BITS}, errors.SchemaError, "LEAF.mask and LEAF.coeff"),
        ("affine_mask", "stem", {"w.mask": BITS}, errors.SchemaError, r"lacks .* w\.coefficients"),
        ("affine_mask", "stem", {"w.coefficients": K}, errors.SchemaError, r"lacks .* w\.mask"),
        (
            *("affine_mask", "stem", {"w.mask": BITS, "w.coefficients": K[:3]}),
            *(errors.SchemaError, r"coefficients \[3\], not \[4\]"),
        ),
        (
            *("affine_mask", "stem", {"w.mask": BITS[:1], "w.coefficients": K}),
            *(errors.ShapeMismatchError, r"w\.mask has 1 bytes"),
        ),
        ("low_rank", "stem", {"w.down": DOWN}, errors.SchemaError, r"lacks its part w\.up"),
        ("low_rank", "stem", {"w.middle": DOWN}, errors.SchemaError, r"LEAF\.down and LEAF\.up"),
        ("low_rank", "stem", {".down": DOWN}, errors.SchemaError, "no part of an edit"),
        (
            *("low_rank", "stem", {"w.down": DOWN, "w.up": np.ones((2, 3))}),
            *(errors.SchemaError, r"down \[3, 1\] and up \[2, 3\]"),
        ),
        (
            *("low_rank", "stem", {"w.down": np.ones((3, 0)), "w.up": np.ones((0, 3))}),
            *(errors.SchemaError, "r of 1 or more"),
        ),
        (
            *("low_rank", "stem", {"w.down": DOWN[:2], "w.up": UP}),
            *(errors.ShapeMismatchError, r"w\.down is \[2, 1\]"),
        ),
        (
            *("low_rank", "stem", {"w.down": DOWN, "w.up": UP[:, :2]}),
            *(errors.ShapeMismatchError, r"w\.up is \[1, 2\]"),
        ),
        (
            *("low_rank", "stem/norm", {"offset.down": DOWN, "offset.up": UP}),
            *(errors.ShapeMismatchError, r"a leaf \[3\], not \[in, out\]"),
        ),
    ],
)
def test_what_does_not_fit(weights, kind, module, arrays, error, match):
    with pytest.raises(error, match=match) as refusal:
        apply_edits(weights, {kind: {module: arrays}})
    assert type(refusal.value) is error
