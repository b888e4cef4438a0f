"""Necks: rows beside the table, of published sizes, each against what it reads in NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.analysis.cost import network_cost
from adapters.backbones import registry
from adapters.backbones.builder import build, count_parameters, expected_shapes
from adapters.backbones.necks import NECKS, NeckError, with_neck
from adapters.backbones.rows import Convolution, InvertedResidual
from adapters.backbones.table import LayerTable, NeckRow
from adapters.backbones.taps import channels, tap
from adapters.errors import UnknownNameError
from adapters.fingerprint import fingerprint
from adapters.heads.registry import from_spec
from adapters.modules import numbered_blocks
from adapters.patches.scale_bias import scale_bias
from tests import narrow

TABLE = with_neck(narrow.TABLE, "lraspp")
NETWORK = build(TABLE, "same", narrow.EPSILON)


def added(name):
    """Trained values of the neck in the table called `name`."""
    return count_parameters(registry.table(name)) - count_parameters(
        registry.table(name.partition("+")[0])
    )


def test_sizes_are_those_of_torchvision():
    assert added("mobilenet_v2_1.0+ssdlite") == 656_960
    separable = 9 * 128 + 128 * 128 + 2 * 2 * 128
    laterals = (1280 + 96 + 32) * 128 + 3 * 2 * 128
    assert added("mobilenet_v2_1.0+fpn") == laterals + 4 * separable == 253_184
    assert added("mobilenet_v2_1.0+lraspp") == 320 * 128 + 2 * 128 + 320 * 128
    # lraspp_mobilenet_v3_large as published, for 21 classes; it has a second bias.
    head = from_spec("segmentation(low=block_06, high=neck_01)")
    table = registry.table("mobilenet_v3_large_1.0+lraspp")
    shapes = head.shapes({name: channels(table, name) for name in head.taps}, 21)
    predictors = sum(int(np.prod(shape)) for shape in shapes.values()) + 21
    pooled = sum(
        int(np.prod(shape))
        for path, leaves in expected_shapes(table).items()
        for shape in leaves.values()
        if path == "pooled"
    )
    assert count_parameters(table) - pooled + predictors == 3_221_538


@pytest.mark.parametrize("neck", NECKS)
@pytest.mark.parametrize("name", ["mobilenet_v1_1.0", "mobilenet_v2_0.35"])
def test_any_table_takes_any_neck(name, neck):
    """Told by the sites, as the built network has it."""
    table = registry.table(f"{name}+{neck}")
    drawn = jax.eval_shape(build(table).init, jax.random.key(0))
    found = {path: {leaf: v.shape for leaf, v in leaves.items()} for path, leaves in drawn.items()}
    assert found == expected_shapes(table)
    assert numbered_blocks(found) == numbered_blocks(expected_shapes(registry.table(name)))


def test_an_unknown_neck_is_refused():
    with pytest.raises(UnknownNameError, match="no neck is called 'lrasp'"):
        registry.table("mobilenet_v2_1.0+lrasp")


@pytest.fixture(scope="module")
def weights():
    return narrow.disturbed(jax.jit(NETWORK.init)(jax.random.key(1)), seed=3)


@pytest.fixture(scope="module")
def image():
    return narrow.normalised(narrow.images(1, 1)[0])[0, 0]


@pytest.fixture(scope="module")
def outputs(weights, image):
    return jax.jit(NETWORK.apply)(weights, image)


def test_a_gated_block_is_what_lraspp_says(weights, outputs):
    read = np.asarray(tap(TABLE, outputs, "block_03"), np.float64)
    project, norm = weights["neck_01/project"]["w"], weights["neck_01/project/norm"]
    norm = {leaf: np.asarray(value, np.float64) for leaf, value in norm.items()}
    y = (read @ np.asarray(project) - norm["mean"]) / np.sqrt(norm["var"] + narrow.EPSILON)
    y = np.maximum(y * norm["scale"] + norm["offset"], 0)
    gate = read.mean((0, 1)) @ np.asarray(weights["neck_01/gate"]["w"])
    wanted = y / (1 + np.exp(-gate))
    np.testing.assert_allclose(tap(TABLE, outputs, "neck_01"), wanted, rtol=1e-4, atol=1e-5)


def test_a_neck_changes_nothing_else(weights, image, outputs):
    own = {path: leaves for path, leaves in weights.items() if not path.startswith("neck")}
    plain = jax.jit(narrow.BACKBONE.apply)(own, image)
    np.testing.assert_allclose(outputs.features, plain.features, rtol=1e-6)


def test_blocks_computed_again_give_the_same(weights, image, outputs):
    again = jax.jit(lambda w, x: NETWORK.apply(w, x, rematerialise=True))(weights, image)
    np.testing.assert_allclose(
        tap(TABLE, again, "neck_01"), tap(TABLE, outputs, "neck_01"), rtol=1e-5, atol=1e-6
    )


def test_patches_identities_and_costs_cover_a_neck(weights):
    params = scale_bias().init(jax.random.key(0), weights)
    assert params.trained["neck_01/project/norm"]["scale"].shape == (128,)
    moved = {**weights, "neck_01/gate": {"w": weights["neck_01/gate"]["w"] + 1}}
    known, other = (fingerprint(jax.tree.map(np.asarray, each)) for each in (weights, moved))
    assert known != other
    plain, whole = (network_cost(network, narrow.SIZE) for network in (narrow.BACKBONE, NETWORK))
    # 8 x 8 pixels of 12 channels for the map, one for the gate.
    assert whole.multiply_adds - plain.multiply_adds == (64 + 1) * 12 * 128
    assert whole.parameters - plain.parameters == 2 * 12 * 128 + 2 * 128


def test_a_neck_s_rows_may_follow_one_another(weights, image):
    """Each reads the one that it names."""
    first = TABLE.neck[0]
    row = dataclasses.replace(first.row, inputs=128, outputs=4)
    table = dataclasses.replace(TABLE, neck=(first, NeckRow("neck_02", "neck_01", row)))
    shapes = jax.eval_shape(
        lambda key: build(table).apply(build(table).init(key), jnp.asarray(image)),
        jax.random.key(0),
    )
    assert shapes.endpoints["neck_02"].shape == (8, 8, 4)


def test_a_pyramid_adds_each_coarser_map_to_the_next():
    """Also where a side is odd; at 36 pixels strides of 8, 16 and 32 leave 5, 3 and 2 cells."""
    halving = InvertedResidual(inputs=4, outputs=4, kernel=3, expanded=8, stride=2)
    stem = Convolution(inputs=3, outputs=4, kernel=3, stride=2)
    table = with_neck(LayerTable("halving", (stem, *[halving] * 4)), "fpn")
    network = build(table)
    weights = jax.jit(network.init)(jax.random.key(2))
    image = np.random.default_rng(0).normal(size=(36, 36, 3)).astype(np.float32)
    outputs, again = jax.jit(
        lambda weights, image: (
            network.apply(weights, image),
            network.apply(weights, image, rematerialise=True),
        )
    )(weights, image)
    maps = {name: np.asarray(tap(table, outputs, name)) for name in outputs.endpoints}
    sides = {f"neck_0{n}": len(maps[f"neck_0{n}"]) for n in range(1, 8)}
    assert list(sides.values()) == [2, 3, 5, 3, 5, 1, 1]

    def lateral(name, read):
        norm = weights[f"{name}/norm"]
        product = maps[read] @ np.asarray(weights[name]["w"])
        scale = np.asarray(norm["scale"]) / np.sqrt(np.asarray(norm["var"]) + 1e-3)
        return (product - np.asarray(norm["mean"])) * scale + np.asarray(norm["offset"])

    stages = {own.name: own.reads for own in table.neck}
    for name, coarser in (("neck_02", "neck_01"), ("neck_03", "neck_02")):
        side = sides[name]
        wide = maps[coarser].repeat(2, axis=0).repeat(2, axis=1)[:side, :side]
        np.testing.assert_allclose(
            maps[name], lateral(name, stages[name]) + wide, rtol=1e-4, atol=1e-5
        )
    np.testing.assert_allclose(again.endpoints["neck_03"], maps["neck_03"], rtol=1e-4, atol=1e-5)


def test_a_pyramid_needs_its_maps():
    with pytest.raises(NeckError, match="narrow has no map of the stride 8"):
        with_neck(narrow.TABLE, "fpn")
