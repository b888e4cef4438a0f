import numpy as np
import pytest

from adapters.store import errors
from adapters.store.edits import apply_edits


@pytest.fixture
def weights():
    return {
        "stem": {"w": np.float32([[1, 2]])},
        "stem/norm": {"scale": np.float32([1, 1]), "offset": np.float32([0, 0])},
    }


def test_edited_leaves_are_replaced_and_the_backbone_stays(weights):
    edit = np.float32([3, 4])
    before = {module: dict(leaves) for module, leaves in weights.items()}
    patched = apply_edits(weights, {"replace": {"stem/norm": {"scale": edit}}})
    assert patched["stem/norm"]["scale"] is edit
    assert patched["stem"]["w"] is weights["stem"]["w"]
    assert patched["stem/norm"]["offset"] is weights["stem/norm"]["offset"]
    assert weights == before
    np.testing.assert_array_equal(weights["stem/norm"]["scale"], [1, 1])


def test_no_edits_change_nothing(weights):
    assert apply_edits(weights, {}) == weights


@pytest.mark.parametrize(
    ("edits", "error", "match"),
    [
        ({"mix": {}}, errors.UnsupportedFeatureError, "'mix', known are module, insert, replace"),
        ({"replace": {"tail": {"w": np.ones(2)}}}, errors.ShapeMismatchError, "tail/w, which"),
        ({"replace": {"stem": {"b": np.ones(2)}}}, errors.ShapeMismatchError, "stem/b, which"),
        # Would broadcast, were it assigned.
        ({"replace": {"stem": {"w": np.ones(2)}}}, errors.ShapeMismatchError, r"\[2\].*\[1, 2\]"),
    ],
)
def test_edits_that_do_not_fit(weights, edits, error, match):
    with pytest.raises(error, match=match):
        apply_edits(weights, edits)
