"""Where a query is written, on MobileNetV2 1.0."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.backbones.builder import build
from adapters.backbones.registry import table
from adapters.backbones.taps import place
from adapters.heads.fpnlite import fpnlite
from adapters.heads.ssdlite import ssdlite
from adapters.patches.combine import chain, reading
from adapters.patches.contract import no_look
from adapters.patches.embeddings import TEXTS, WIDTH
from adapters.patches.forward import forward
from adapters.patches.query_modulation import query_modulation
from adapters.patches.settings import PatchSettingError
from tests import narrow

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
    with pytest.raises(PatchSettingError, match="at=tail must be one of norms, blocks"):
        query_modulation(at="tail")


def test_what_a_head_reads_is_a_place(shapes):
    """The five levels of the pyramid have 128 channels each; of SSD's maps each has its own."""
    maps = {
        "mobilenet_v2_1.0+fpn": (fpnlite().taps, 5 * 128),
        "mobilenet_v2_1.0": (ssdlite(maps=2).taps, 576 + 1280),
    }
    for name, (taps, channels) in maps.items():
        own = table(name)
        patch = reading(query_modulation(hidden=2, at="head"), {n: place(own, n) for n in taps})
        assert values(patch, shapes[name]) == 17 * 2 + 2 * 2 * channels
    with pytest.raises(PatchSettingError, match=r"\(at=head\) is for heads that read known maps"):
        values(query_modulation(at="head"), shapes["mobilenet_v2_1.0"])


def test_a_head_s_maps_are_modulated_and_the_network_is_not():
    patch = reading(
        chain(query_modulation(size=3, at="head")), {"stride_2/expand": "block_02/expand"}
    )
    weights, query = narrow.weights(), jnp.array([1.0, 0.0, 1.0])
    params = patch.init(jax.random.key(0), weights)
    moved = narrow.disturbed(params.trained, seed=3)
    inputs = {"image": jnp.ones((32, 32, 3)), "query": query}
    taps = ("stride_2/expand", "features")

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def seen(trained):
        patched = patch.apply(weights, params._replace(trained=trained), {})
        modulated = forward(narrow.BACKBONE, patch.prepare, patched, inputs, {}, taps).taps
        return modulated, forward(narrow.BACKBONE, no_look, weights, inputs, {}, taps).taps

    before, plain = seen(params.trained)
    after, _ = seen(moved)
    ((first, second),) = [own.values() for own in moved]
    units = np.tanh(np.asarray(query @ first["w"] + first["b"]))
    gain, shift = np.split(units @ np.asarray(second["w"]), 2)
    jax.tree.map(np.testing.assert_array_equal, before, plain)
    own = np.asarray(plain["stride_2/expand"])
    np.testing.assert_allclose(
        after["stride_2/expand"], own * (1 + gain) + shift, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(after["features"], plain["features"])


def test_rows_are_what_a_matrix_makes_of_texts_and_others_learn_their_own():
    patch = query_modulation(size=3, hidden=2, at="endpoints", embeddings="text")
    weights, drawn = narrow.weights(), np.random.default_rng(6)
    texts = drawn.normal(size=(3, WIDTH)).astype(np.float32)
    texts[1] = 0  # a number without a text
    params = patch.init(jax.random.key(0), weights)
    params = params._replace(
        trained=narrow.disturbed(params.trained, seed=7), fixed={TEXTS: jnp.asarray(texts)}
    )
    path = "query_modulation/query/hidden"
    packed = patch.pack(params)["module"]
    assert set(packed) == {path, "query_modulation/query/modulation"}
    matrix, own = params.trained[f"{path}/of_texts"]["w"], params.trained[path]["w"]
    rows = np.stack([texts[0] @ matrix, own[1], texts[2] @ matrix])
    np.testing.assert_allclose(packed[path]["w"], rows, rtol=1e-4, atol=1e-5)
    patched = patch.apply(weights, params, {})
    np.testing.assert_array_equal(patched[path]["w"], packed[path]["w"])
    assert set(patched) == {*weights, *packed}
