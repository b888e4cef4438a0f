"""Layer tables against published integers, and the networks built from them."""

import jax
import jax.numpy as jnp
import pytest

from adapters.backbones import registry
from adapters.backbones.builder import build, count_parameters, expected_shapes
from adapters.backbones.mobilenet_v2 import WIDTHS
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
    ],
)
def test_parameter_counts_are_the_published_ones(name, classes, statistics, parameters):
    assert count_parameters(registry.table(name), classes, statistics) == parameters


def test_norm_channels_are_the_published_ones():
    shapes = expected_shapes(registry.table("mobilenet_v2_1.0"))
    assert sum(leaves["scale"][0] for leaves in shapes.values() if "scale" in leaves) == 17_056


def test_every_published_width_has_a_table():
    assert WIDTHS == (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    for width in WIDTHS:
        table = registry.table(f"mobilenet_v2_{width}")
        assert table.features == (1280 if width <= 1 else make_divisible(1280 * width))
        assert all(row.outputs % 8 == 0 for row in table.rows)


@pytest.mark.parametrize("name", ["mobilenet_v2_1.0", "efficientnet_lite0"])
def test_endpoints_have_the_published_strides(name):
    """At 64 px: C2 to C5 of arXiv 1801.04381, Table 2, and of arXiv 1905.11946, Table 1."""
    backbone = build(registry.table(name))
    weights = jax.eval_shape(backbone.init, jax.random.key(0))
    image = jax.ShapeDtypeStruct((64, 64, 3), jnp.float32)
    outputs = jax.eval_shape(backbone.apply, weights, image)
    got = {path: end.shape for path, end in outputs.endpoints.items()}
    expected = {
        "mobilenet_v2_1.0": {
            "stem": (32, 32, 32),
            "block_03": (16, 16, 24),
            "block_06": (8, 8, 32),
            "block_13": (4, 4, 96),
            "block_17": (2, 2, 320),
        },
        "efficientnet_lite0": {
            "stem": (32, 32, 32),
            "block_03": (16, 16, 24),
            "block_05": (8, 8, 40),
            "block_11": (4, 4, 112),
            "block_16": (2, 2, 320),
        },
    }[name]
    assert {path: got[path] for path in expected} == expected
    assert outputs.features.shape == (1280,)


@pytest.mark.parametrize(
    ("value", "rounded"), [(32 * 0.35, 16), (16 * 0.35, 8), (24 * 1.3, 32), (96 * 0.75, 72), (3, 8)]
)
def test_channels_round_as_published(value, rounded):
    assert make_divisible(value) == rounded


def test_an_unknown_table_offers_near_names():
    with pytest.raises(UnknownNameError, match=r"mobilenet_v2_1\.0"):
        registry.table("mobilenet_v2_1.00")
