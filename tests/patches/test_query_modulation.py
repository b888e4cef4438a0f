"""Where a query is written, on MobileNetV2 1.0."""

import jax
import pytest

from adapters.backbones.builder import build
from adapters.backbones.registry import table
from adapters.patches.query_modulation import query_modulation
from adapters.patches.settings import PatchSettingError

# Norm channels of all 52 layers; the ends of 17 blocks; of those, the last of each width.
CHANNELS = {"norms": 17_056, "blocks": 1_504, "endpoints": 16 + 24 + 32 + 64 + 96 + 160 + 320}


@pytest.fixture(scope="module")
def shapes():
    return {
        name: jax.eval_shape(build(table(name)).init, jax.random.key(0))
        for name in ("mobilenet_v2_1.0", "mobilenet_v2_1.0+fpn")
    }


def values(patch, weights):
    params = jax.eval_shape(patch.init, jax.random.key(0), weights)
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("at", CHANNELS)
@pytest.mark.parametrize("name", ["mobilenet_v2_1.0", "mobilenet_v2_1.0+fpn"])
def test_a_place_has_its_norms_with_a_neck_and_without(shapes, at, name):
    found = values(query_modulation(size=9, hidden=2, at=at), shapes[name])
    assert found == 10 * 2 + 2 * 2 * CHANNELS[at]


def test_a_neck_is_a_place_where_there_is_one(shapes):
    assert values(query_modulation(at="neck"), shapes["mobilenet_v2_1.0+fpn"]) > 0
    with pytest.raises(PatchSettingError, match=r"at=neck\): this backbone has no such norms"):
        values(query_modulation(at="neck"), shapes["mobilenet_v2_1.0"])
    with pytest.raises(PatchSettingError, match="at=head must be one of norms, blocks"):
        query_modulation(at="head")
