"""Edits of a file become what a task owns, or are refused: for each way of writing them."""

import jax
import numpy as np
import pytest

from adapters.patches.bias import bias
from adapters.patches.registry import from_spec
from adapters.patches.scale_bias import scale_bias
from adapters.patches.unpacking import UnpackingError, unpacked
from adapters.training import packing
from tests import narrow
from tests.patches.table import ENTRIES

# Bits, and choices of gates, say less than the numbers that they were made of.
ONE_WAY = ("mask, frozen", "spotpatch(scale_bias), frozen")
CHOSEN = (
    *(
        "scale_bias, ema",
        "lora(rank=4, alpha=2)+depthwise, frozen",
        "delta, frozen",
        "film, frozen",
    ),
    *("conv_adapter, frozen", "coefficients, frozen", "conditional, frozen", *ONE_WAY),
)


@pytest.mark.parametrize("name", CHOSEN)
def test_what_a_file_says_is_where_training_goes_on(name):
    (entry,) = (entry for entry in ENTRIES if entry.name == name)
    weights = entry.patch.extend(jax.random.key(0), narrow.weights())
    finished = narrow.disturbed(entry.patch.init(jax.random.key(1), weights), seed=2)
    edits = packing.task_edits(entry.patch, finished)
    fresh = entry.patch.init(jax.random.key(3), weights)
    if name in ONE_WAY:
        with pytest.raises(UnpackingError):
            unpacked(entry.patch, fresh, edits)
        return
    found = unpacked(entry.patch, fresh, edits)
    assert jax.tree.structure(found) == jax.tree.structure(fresh)
    again = packing.task_edits(entry.patch, found)
    assert jax.tree.structure(again) == jax.tree.structure(edits)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(edits), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_values_that_are_written_as_they_are_come_back_to_the_bit():
    weights, patch = narrow.weights(), from_spec("scale_bias+depthwise", "ema")
    finished = narrow.disturbed(patch.init(jax.random.key(1), weights), seed=2)
    found = unpacked(patch, patch.init(jax.random.key(0), weights), patch.pack(finished))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(finished), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_smaller_patch_is_a_beginning_for_a_larger_one_and_not_the_other_way_round():
    weights = narrow.weights()
    offsets = narrow.disturbed(bias().init(jax.random.key(0), weights), seed=2)
    fresh = scale_bias().init(jax.random.key(0), weights)
    found = unpacked(scale_bias(), fresh, bias().pack(offsets)).trained
    for path, leaves in found.items():
        np.testing.assert_array_equal(leaves["offset"], offsets.trained[path]["offset"])
        np.testing.assert_array_equal(leaves["scale"], weights[path]["scale"])
    with pytest.raises(
        UnpackingError, match=r"edits that the patch bias does not, replace .*scale"
    ):
        unpacked(bias(), bias().init(jax.random.key(0), weights), scale_bias().pack(fresh))


def test_another_shape_is_refused():
    weights, patch = narrow.weights(), bias()
    fresh = patch.init(jax.random.key(0), weights)
    edits = jax.tree.map(lambda leaf: leaf[:-1], patch.pack(fresh))
    with pytest.raises(UnpackingError, match=r"has the shape .*choose the patch that the file was"):
        unpacked(patch, fresh, edits)
