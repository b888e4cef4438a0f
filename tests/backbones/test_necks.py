"""Necks: rows beside the table, of published sizes, each against what it reads in NumPy."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.analysis.cost import network_cost
from adapters.backbones import registry
from adapters.backbones.builder import build, count_parameters, expected_shapes
from adapters.backbones.forms import FormError
from adapters.backbones.necks import NECKS, NeckError, mosaic, with_neck
from adapters.backbones.rows import Convolution, InvertedResidual
from adapters.backbones.table import LayerTable, NeckRow
from adapters.backbones.taps import channels, tap
from adapters.errors import UnknownNameError
from adapters.fingerprint import fingerprint
from adapters.heads.registry import from_spec
from adapters.modules import numbered_blocks
from adapters.patches.scale_bias import scale_bias
from tests import narrow
from tests.quick import QUICKEST

TABLE = with_neck(narrow.TABLE, "lraspp")
NETWORK = build(TABLE, "same", narrow.EPSILON)


def added(name):
    """Trained values of the neck in the table called `name`."""
    return count_parameters(registry.table(name)) - count_parameters(
        registry.table(name.partition("+")[0])
    )


def test_sizes_are_those_of_torchvision():
    assert added("mobilenet_v2_1.0+ssdlite") == 656_960
    halves, wholes = (256, 128, 128, 64), (512, 256, 256, 128)
    pairs = zip((1280, *wholes), halves, wholes, strict=False)
    kernels = sum(inputs * half + 9 * half * whole for inputs, half, whole in pairs)
    assert added("mobilenet_v2_1.0+ssd") == kernels + 2 * sum(halves + wholes)
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
    with pytest.raises(NeckError, match="no map of the stride 8, which MOSAIC's decoder reads"):
        with_neck(narrow.TABLE, "mosaic")
    odd = LayerTable("odd", (Convolution(inputs=3, outputs=5), Convolution(inputs=5, outputs=5)))
    with pytest.raises(NeckError, match="5 channels, which 2 kernels cannot share"):
        with_neck(odd, "mosaic")


def test_mosaic_s_levels_share_their_group_convolution():
    """A level more takes weights in the 1x1 over all levels alone: those of its own channels."""
    table = registry.table("multi_avg_seg+stride_16")

    def shapes(cells):
        own = dataclasses.replace(table, neck=mosaic(table, cells))
        return {path: leaves for path, leaves in expected_shapes(own).items() if "neck" in path}

    two, four = shapes((4, 8)), shapes((2, 4, 8, 16))
    assert two.keys() == four.keys()
    over_all = "neck_01/project"
    assert {path for path in two if two[path] != four[path]} == {over_all}
    assert four[over_all]["w"][0] - two[over_all]["w"][0] == 2 * 128
    # 448 channels: the mean's branch, both kernels' and the 1x1 over four levels and the mean.
    groups = sum(224 * k * k + 2 * 224 + 224 * 64 + 2 * 64 for k in (3, 5))
    encoder = (448 * 64 + 2 * 64) + groups + (448 + 64 + 3 * 128) * 128 + 2 * 128
    # Depthwise maps of 192 channels at an eighth, and of 64 at a quarter.
    merge = (192 + 128) * 64 + 2 * 64 + (9 * 64 + 2 * 64) + (64 * 64 + 2 * 64)
    decoder = merge + 64 * 64 + 2 * 64
    assert added("multi_avg_seg+mosaic") == encoder + decoder == 210_944


def test_mosaic_is_what_its_paper_draws():
    """Each step again in NumPy, on a side that its windows do not divide."""
    stem = Convolution(inputs=3, outputs=4, kernel=3, stride=2, activation="relu")
    halving = InvertedResidual(inputs=4, outputs=4, kernel=3, expanded=6, stride=2)
    table = LayerTable("halving", (stem, halving, halving))
    table = dataclasses.replace(table, neck=mosaic(table, (2, 9)))
    network = build(table)
    generator = np.random.default_rng(1)
    weights = {
        path: {
            leaf: generator.normal(size=shape).astype(np.float32)
            if leaf == "w"
            else np.float32(generator.uniform(0.5, 1.5, shape))
            for leaf, shape in leaves.items()
        }
        for path, leaves in expected_shapes(table).items()
    }
    image = generator.normal(size=(56, 56, 3)).astype(np.float32)
    maps = jax.jit(network.apply, compiler_options=QUICKEST)(weights, image).endpoints
    maps = {name: np.asarray(value, np.float64) for name, value in maps.items()}
    assert maps["block_02"].shape == (7, 7, 4)

    def layer(name, x):
        """A 1x1, or a depthwise layer, its norm and ReLU."""
        w = np.asarray(weights[name]["w"], np.float64)
        if w.ndim == 2:
            y = x @ w
        else:
            side, (height, width) = len(w), x.shape[:2]
            wide = np.pad(x, ((side // 2,) * 2, (side // 2,) * 2, (0, 0)))
            places = [(i, j) for i in range(side) for j in range(side)]
            y = sum(wide[i : i + height, j : j + width] * w[i, j, 0] for i, j in places)
        norm = {leaf: np.asarray(value) for leaf, value in weights[f"{name}/norm"].items()}
        y = (y - norm["mean"]) / np.sqrt(norm["var"] + 1e-3) * norm["scale"] + norm["offset"]
        return np.maximum(y, 0)

    def enlarged(x, side):
        for axis in (0, 1):
            places = (np.arange(side) + 0.5) * x.shape[axis] / side - 0.5
            known = np.arange(x.shape[axis])
            x = np.apply_along_axis(lambda line, k=known, p=places: np.interp(p, k, line), axis, x)
        return x

    x = maps["block_02"]
    # Of 7 two windows: 3 apart and 4 wide. Nine do not fit: the map stays as it is.
    halves = [slice(0, 4), slice(3, 7)]
    means = np.array([[x[rows, columns].mean((0, 1)) for columns in halves] for rows in halves])
    levels = [x, np.broadcast_to(layer("neck_01/mean", x.mean((0, 1), keepdims=True)), (7, 7, 64))]
    for level in (means, x):
        shares = (level[..., :2], level[..., 2:])
        found = [
            layer(f"neck_01/kernel_{k}/project", layer(f"neck_01/kernel_{k}/depthwise", share))
            for k, share in zip((3, 5), shares, strict=True)
        ]
        levels.append(enlarged(np.concatenate(found, axis=-1), 7))
    encoded = layer("neck_01/project", np.concatenate(levels, axis=-1))
    np.testing.assert_allclose(maps["neck_01"], encoded, rtol=1e-3, atol=1e-4)
    fine, finer = (layer_of_block(maps, weights, block) for block in ("block_02", "block_01"))
    merged = layer("neck_02", np.concatenate([fine, encoded], axis=-1))
    merged = layer("neck_03/project", layer("neck_03/depthwise", merged))
    wanted = layer("neck_04", finer) + enlarged(merged, 14)
    np.testing.assert_allclose(maps["neck_04"], wanted, rtol=1e-3, atol=1e-4)
    costs = {layer.path: layer.multiply_adds for layer in network_cost(network, 56).layers}
    assert costs["neck_04"] == 14 * 14 * 6 * 64


def layer_of_block(maps, weights, block):
    """What a block's depthwise layer gave, by the projection behind it: that it was read there."""
    inside = maps[f"{block}/depthwise"]
    norm = {leaf: np.asarray(v) for leaf, v in weights[f"{block}/project/norm"].items()}
    y = (inside @ np.asarray(weights[f"{block}/project"]["w"]) - norm["mean"]) / np.sqrt(
        norm["var"] + 1e-3
    )
    np.testing.assert_allclose(
        maps[block], y * norm["scale"] + norm["offset"], rtol=1e-3, atol=1e-4
    )
    return inside


def test_deeplab_reduced_is_a_1x1_beside_the_mean():
    """Its size is that of arXiv 1801.04381: no 3x3 convolution."""
    inside = 2 * (320 * 256 + 2 * 256)
    assert added("mobilenet_v2_1.0+deeplab") == inside + 2 * 256 * 256 + 2 * 256 == 296_448
    kinds = {part.kind for part in registry.table("mobilenet_v2_1.0+deeplab").neck[0].row.parts}
    assert kinds == {"pointwise"}
    atrous = registry.table("mobilenet_v2_1.0+deeplab_atrous").neck[0].row
    assert [part.name for part in atrous.parts[1:4]] == ["rate_12", "rate_24", "rate_36"]


def test_an_output_stride_and_a_neck_are_read_from_a_name():
    denser = registry.table("mobilenet_v2_1.0+stride_16+deeplab")
    assert denser.name == "mobilenet_v2_1.0+stride_16+deeplab"
    plain = registry.table("mobilenet_v2_1.0+deeplab")
    assert denser.neck == plain.neck
    assert math.prod(row.stride for row in denser.rows) == 16
    assert expected_shapes(denser) == expected_shapes(plain)
    for name in ("deeplab+stride_16", "lraspp+deeplab"):
        with pytest.raises(FormError, match="stands before it, as in NAME"):
            registry.table(f"mobilenet_v2_1.0+{name}")
