"""Layer tables against published integers, and the networks built from them."""

import jax
import jax.numpy as jnp
import pytest

from adapters.analysis.cost import network_cost
from adapters.backbones import registry
from adapters.backbones.builder import build, count_parameters, expected_shapes
from adapters.backbones.mobilenet_multi import multi_avg, multi_max
from adapters.backbones.mobilenet_v2 import WIDTHS
from adapters.backbones.output_stride import with_output_stride
from adapters.backbones.table import make_divisible
from adapters.errors import UnknownNameError


@pytest.mark.parametrize(
    ("name", "classes", "statistics", "parameters"),
    [
        ("mobilenet_v2_1.0", 0, False, 2_223_872),  # arXiv 1810.10703's extractor
        ("mobilenet_v2_1.0", 1000, False, 3_504_872),  # torchvision
        ("mobilenet_v2_1.0", 1000, True, 3_538_984),  # Keras
        ("mobilenet_v2_1.0", 1001, True, 3_540_265),  # tensorflow/models' own test
        ("mobilenet_v2_0.75", 1000, False, 2_636_424),
        ("mobilenet_v2_0.75", 1000, True, 2_663_064),
        ("mobilenet_v2_1.4", 1000, False, 6_108_776),
        ("mobilenet_v2_1.4", 1000, True, 6_156_712),
        ("efficientnet_lite0", 1000, False, 4_652_008),
        ("mobilenet_v1_1.0", 1000, False, 4_231_976),  # Keras, statistics aside
        ("mobilenet_v1_1.0", 1000, True, 4_253_864),  # Keras
        ("mobilenet_v1_0.75", 1000, True, 2_601_976),
        ("mobilenet_v1_0.5", 1000, True, 1_342_536),
        ("mobilenet_v1_0.25", 1000, True, 475_544),
        ("mobilenet_v3_large_1.0", 1000, False, 5_483_032),  # torchvision
        ("mobilenet_v3_large_1.0", 1000, True, 5_507_432),  # Keras
        ("mobilenet_v3_large_1.0", 1001, True, 5_508_713),  # tensorflow/models' own test
        ("mobilenet_v3_large_0.75", 1000, False, 3_993_528),
        ("mobilenet_v3_large_0.75", 1000, True, 4_012_616),
        ("mobilenet_v3_large_0.75", 1001, True, 4_013_897),
        ("mobilenet_v3_small_1.0", 1000, False, 2_542_856),
        ("mobilenet_v3_small_1.0", 1000, True, 2_554_968),
        ("mobilenet_v3_small_1.0", 1001, True, 2_555_993),
        ("mobilenet_v3_small_0.75", 1000, False, 2_041_872),
        ("mobilenet_v3_small_0.75", 1000, True, 2_051_552),
        ("mobilenet_v3_small_0.75", 1001, True, 2_052_577),
        ("mobilenet_v3_large_minimalistic_1.0", 1000, False, 3_924_288),
        ("mobilenet_v3_large_minimalistic_1.0", 1000, True, 3_948_688),
        ("mobilenet_v3_small_minimalistic_1.0", 1000, False, 2_044_736),
        ("mobilenet_v3_small_minimalistic_1.0", 1000, True, 2_056_848),
        ("mobilenet_v4_conv_small", 1000, False, 3_774_024),
        ("mobilenet_v4_conv_medium", 1000, False, 9_715_512),
        ("mobilenet_v4_conv_large", 1000, False, 32_590_864),
        ("mobilenet_v4_hybrid_medium", 1000, False, 11_074_648),
        ("mobilenet_v4_hybrid_large", 1000, False, 37_764_624),
        ("mnasnet_a1", 1000, False, 3_887_038),
        ("mnasnet_b1", 1000, False, 4_383_312),
        ("mnasnet_small", 1000, False, 2_030_264),
        ("multi_avg", 1000, False, 4_947_592),
        ("multi_avg", 1001, True, 4_982_857),  # tensorflow/models' own test
        ("multi_max", 1000, False, 4_421_640),
        ("multi_max", 1001, True, 4_453_001),
    ],
)
def test_parameter_counts_are_the_published_ones(name, classes, statistics, parameters):
    assert count_parameters(registry.table(name), classes, statistics) == parameters


@pytest.mark.parametrize(("form", "parameters"), [(multi_avg, 4_948_872), (multi_max, 4_422_920)])
def test_a_norm_instead_of_a_bias_after_pooling(form, parameters):
    assert count_parameters(form(bias=False), 1000) == parameters


def test_norm_channels_are_the_published_ones():
    shapes = expected_shapes(registry.table("mobilenet_v2_1.0"))
    assert sum(leaves["scale"][0] for leaves in shapes.values() if "scale" in leaves) == 17_056


def test_every_published_width_has_a_table():
    assert WIDTHS == (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    for width in WIDTHS:
        table = registry.table(f"mobilenet_v2_{width}")
        assert table.features == (1280 if width <= 1 else make_divisible(1280 * width))
        assert all(row.outputs % 8 == 0 for row in table.rows)


# Row to the image's size by its map's, and channels: where the published tables change resolution.
ENDPOINTS = {
    "mobilenet_v1_1.0": {1: (2, 64), 3: (4, 128), 5: (8, 256), 11: (16, 512), 13: (32, 1024)},
    "mobilenet_v1_0.25": {1: (2, 16), 3: (4, 32), 5: (8, 64), 11: (16, 128), 13: (32, 256)},
    "mobilenet_v2_1.0": {1: (2, 16), 3: (4, 24), 6: (8, 32), 13: (16, 96), 17: (32, 320)},
    "efficientnet_lite0": {1: (2, 16), 3: (4, 24), 5: (8, 40), 11: (16, 112), 16: (32, 320)},
    "mobilenet_v3_large_1.0": {1: (2, 16), 3: (4, 24), 6: (8, 40), 12: (16, 112), 15: (32, 160)},
    "mobilenet_v3_large_minimalistic_1.0": {6: (8, 40), 12: (16, 112), 15: (32, 160)},
    "mobilenet_v3_small_1.0": {1: (4, 16), 3: (8, 24), 8: (16, 48), 11: (32, 96)},
    "mobilenet_v3_small_0.75": {1: (4, 16), 3: (8, 24), 8: (16, 40), 11: (32, 72)},
    "mobilenet_v4_conv_small": {2: (4, 32), 4: (8, 64), 10: (16, 96), 16: (32, 128)},
    "mobilenet_v4_conv_medium": {1: (4, 48), 3: (8, 80), 11: (16, 160), 22: (32, 256)},
    "mobilenet_v4_conv_large": {1: (4, 48), 3: (8, 96), 14: (16, 192), 27: (32, 512)},
    "mobilenet_v4_hybrid_medium": {1: (4, 48), 3: (8, 80), 15: (16, 160), 31: (32, 256)},
    "mobilenet_v4_hybrid_large": {1: (4, 48), 3: (8, 96), 18: (16, 192), 36: (32, 512)},
    "mnasnet_a1": {1: (2, 16), 3: (4, 24), 6: (8, 40), 12: (16, 112), 16: (32, 320)},
    "mnasnet_b1": {1: (2, 16), 4: (4, 24), 7: (8, 40), 12: (16, 96), 17: (32, 320)},
    "mnasnet_small": {1: (2, 8), 2: (4, 16), 4: (8, 16), 11: (16, 32), 15: (32, 144)},
    "multi_avg": {2: (4, 32), 6: (8, 64), 12: (16, 160), 16: (32, 192)},
    "multi_max": {1: (4, 32), 4: (8, 64), 10: (16, 128), 14: (32, 160)},
    "multi_avg_seg": {2: (4, 32), 6: (8, 64), 12: (16, 160), 16: (32, 96)},
    "multi_max_seg": {1: (4, 32), 4: (8, 64), 10: (16, 128), 14: (32, 96)},
    "isometric": {1: (16, 96), 16: (16, 96)},
}
ISOMETRIC_SMALL = {4: 12_140_544, 8: 12_246_528, 16: 12_546_048}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoints_have_the_published_strides(name):
    """As published, and with every output stride that the table allows."""
    table = registry.table(name)
    weights = {
        path: {leaf: jax.ShapeDtypeStruct(shape, jnp.float32) for leaf, shape in leaves.items()}
        for path, leaves in expected_shapes(table).items()
    }
    image = jax.ShapeDtypeStruct((64, 64, 3), jnp.float32)
    for output_stride in (32, 16, 8):
        if output_stride < table.rows[0].stride:
            continue
        backbone = build(with_output_stride(table, output_stride))
        outputs = jax.eval_shape(backbone.apply, weights, image)
        for row, (stride, channels) in ENDPOINTS[name].items():
            side = 64 // min(stride, output_stride)
            assert outputs.endpoints[f"block_{row:02d}"].shape == (side, side, channels)
        assert outputs.features.shape == (table.features,)


@pytest.mark.parametrize(("side", "multiply_adds"), ISOMETRIC_SMALL.items())
def test_small_isometric_networks_cost_alike_whatever_their_images(side, multiply_adds):
    backbone = build(registry.table(f"isometric_small_{side}"))
    weights = jax.eval_shape(backbone.init, jax.random.key(0))
    for size in (32, 128):
        assert network_cost(backbone, size).multiply_adds == multiply_adds
        image = jax.ShapeDtypeStruct((size, size, 3), jnp.float32)
        maps = jax.eval_shape(backbone.apply, weights, image).endpoints
        assert {shape.shape[:2] for shape in maps.values()} == {(side, side)}


def test_the_resolution_inside_an_isometric_network_is_its_own():
    table = registry.table("isometric_14")
    weights = jax.eval_shape(build(table).init, jax.random.key(0))
    for side in (32, 100):
        image = jax.ShapeDtypeStruct((side, side, 3), jnp.float32)
        outputs = jax.eval_shape(build(table).apply, weights, image)
        assert {end.shape[:2] for end in outputs.endpoints.values()} == {(14, 14)}


@pytest.mark.parametrize(
    ("value", "rounded"), [(32 * 0.35, 16), (16 * 0.35, 8), (24 * 1.3, 32), (96 * 0.75, 72), (3, 8)]
)
def test_channels_round_as_published(value, rounded):
    assert make_divisible(value) == rounded


def test_an_unknown_table_offers_near_names():
    with pytest.raises(UnknownNameError, match=r"mobilenet_v2_1\.0"):
        registry.table("mobilenet_v2_1.00")
