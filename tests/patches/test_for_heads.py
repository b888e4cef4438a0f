"""Patches leave alone what no head of their tasks reads of a neck."""

import jax
import numpy as np
import pytest

from adapters.backbones.builder import expected_shapes
from adapters.backbones.registry import table
from adapters.patches.combine import for_heads
from adapters.patches.registry import from_spec

TABLE = table("mobilenet_v2_0.35+ssdlite")
WEIGHTS = {
    path: {leaf: np.ones(shape, np.float32) for leaf, shape in leaves.items()}
    for path, leaves in expected_shapes(TABLE).items()
}


def owned(spec, taps, norm="frozen"):
    """The blocks of the neck in which a patch owns something, and whether it does elsewhere."""
    patch = for_heads(from_spec(spec, norm), TABLE, taps)
    assert patch.spec == from_spec(spec, norm).spec
    params = jax.eval_shape(patch.init, jax.random.key(0), WEIGHTS)
    paths = {path for own in patch.pack(params).values() for path in own}
    assert any(path.startswith("block_") for path in paths)
    return {path.partition("/")[0] for path in paths if path.startswith("neck")}


@pytest.mark.parametrize("spec", ["full", "scale_bias+depthwise", "film"])
def test_of_a_neck_only_what_maps_are_made_of_is_a_task_s(spec):
    assert owned(spec, ["features"]) == set()
    found = owned(spec, ["stride_16/expand", "neck_02"])
    assert found <= {"neck_01", "neck_02"}
    assert "neck_02" in found


def test_statistics_of_what_nobody_reads_are_nobody_s():
    assert owned("scale_bias", ["stride_32"], norm="batch") == set()
    assert len(owned("scale_bias", ["neck_08"], norm="batch")) == 8
