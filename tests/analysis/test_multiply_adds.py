"""Multiply-adds against published figures, against loops, and against XLA's own count."""

import itertools

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

from adapters.analysis.cost import CostSettingError, cost_of, network_cost
from adapters.analysis.counting import UncountableError
from adapters.backbones import registry
from adapters.backbones.builder import build, count_parameters
from adapters.layers import convolution as convolution_lib
from adapters.layers import depthwise_convolution as depthwise_lib
from adapters.layers.convolution import Convolution
from adapters.layers.dense import Dense
from adapters.layers.depthwise import Depthwise
from adapters.layers.norm import Normalise
from adapters.layers.pixels import pointwise
from adapters.layers.pointwise import Pointwise
from adapters.layers.squeeze_excite import SqueezeExcite
from adapters.layers.windows import Geometry

# Millions, with a 1000-way head.
PUBLISHED = [
    ("mobilenet_v2_0.75", 224, "209.1"),
    ("mobilenet_v2_1.0", 224, "300.8"),
    ("mobilenet_v2_1.4", 224, "582.2"),
    ("mobilenet_v3_large_1.0", 224, "216.6"),
    ("mobilenet_v3_small_1.0", 224, "56.5"),
    ("mobilenet_v3_large_minimalistic_1.0", 224, "209.1"),
    ("mobilenet_v3_small_minimalistic_1.0", 224, "52.3"),
    ("mobilenet_v3_large_0.75", 224, "154.6"),
    ("mobilenet_v3_small_0.75", 224, "43.4"),
    ("mnasnet_a1", 224, "311.6"),
    ("mnasnet_b1", 224, "314.4"),
    ("multi_max", 224, "349.2"),
    ("multi_avg", 224, "432.5"),
    ("mobilenet_v4_conv_small", 224, "186.0"),
    ("mobilenet_v4_conv_medium", 256, "1080"),
    ("mobilenet_v4_conv_large", 384, "6376"),
    ("mobilenet_v4_hybrid_medium", 256, "1271"),
    ("mobilenet_v4_hybrid_large", 384, "7712"),
]


@pytest.mark.parametrize(("name", "size", "millions"), PUBLISHED)
def test_figures_are_the_published_ones(name, size, millions):
    table = registry.table(name)
    cost = network_cost(build(table), size, classes=1000)
    digits = len(millions.partition(".")[2])
    assert f"{cost.multiply_adds / 1e6:.{digits}f}" == millions
    assert cost.parameters == count_parameters(table, 1000)


@pytest.mark.parametrize("name", sorted(set(registry.TABLES) - {name for name, *_ in PUBLISHED}))
def test_every_other_table_is_counted_whole(name):
    table = registry.table(name)
    cost = network_cost(build(table), 32)
    assert cost.parameters == count_parameters(table)
    assert all(cost.below(path) for path, _ in table.named_rows())


def traced(function, image=(9, 8, 3)):
    """The cost of `function(image, norm)`, made of modules."""
    network = hk.without_apply_rng(hk.transform(lambda x: function(x, Normalise(1e-3))))
    shape = jax.ShapeDtypeStruct(image, jnp.float32)
    return cost_of(network.apply, jax.eval_shape(network.init, jax.random.key(0), shape), shape)


def test_each_kind_of_layer_by_loops():
    def network(x, norm):
        x = Convolution(4, 3, 2, "same", name="stem")(x, norm, "relu6")
        x = Depthwise(5, 1, "symmetric", name="depthwise")(x, norm, "relu")
        x = SqueezeExcite(2, jax.nn.hard_sigmoid)(x)
        x = Pointwise(6, name="project")(x, norm)
        return Dense(7, name="head")(jnp.mean(x, axis=(0, 1)))

    rows, columns = range(5), range(4)  # 9 x 8 at stride 2

    def turns(*ranges):
        return sum(1 for _ in itertools.product(*ranges))

    expected = {
        "stem": turns(rows, columns, range(3), range(3), range(3), range(4)),
        "depthwise": turns(rows, columns, range(5), range(5), range(4)),
        "squeeze_excite/reduce": turns(range(4), range(2)),
        "squeeze_excite/expand": turns(range(2), range(4)),
        "project": turns(rows, columns, range(4), range(6)),
        "head": turns(range(6), range(7)),
    }
    layers = traced(network).layers
    assert {layer.path: layer.multiply_adds for layer in layers if layer.multiply_adds} == expected
    assert {layer.path: layer.kind for layer in layers if layer.multiply_adds} == {
        "stem": "convolution",
        "depthwise": "depthwise",
        "squeeze_excite/reduce": "dense",
        "squeeze_excite/expand": "dense",
        "project": "pointwise",
        "head": "dense",
    }


def test_xla_counts_as_many_where_no_window_is_padded():
    """Its figure is two operations a multiply-add, without taps on padding."""
    inside = ((0, 0), (0, 0))

    def network(weights, image):
        x = convolution_lib.native(image, weights["stem"]["w"], Geometry(2, 1, inside))
        x = depthwise_lib.native(x, weights["depthwise"]["w"], Geometry(1, 2, inside))
        return pointwise(x, weights["project"]["w"])

    shapes = {"stem": (3, 3, 3, 8), "depthwise": (3, 3, 1, 8), "project": (8, 5)}
    weights = {path: {"w": jnp.ones(shape)} for path, shape in shapes.items()}
    image = jnp.ones((17, 13, 3))
    by_xla = jax.jit(network).lower(weights, image).cost_analysis()["flops"]
    ours = cost_of(network, weights, jax.ShapeDtypeStruct(image.shape, image.dtype))
    assert 2 * ours.multiply_adds == by_xla


def test_xla_counts_a_whole_network_alike():
    """Beside the products it counts norms and activations, some 4 % here."""
    backbone = build(registry.table("mobilenet_v2_1.0"))
    weights = jax.eval_shape(backbone.init, jax.random.key(0))
    image = jax.ShapeDtypeStruct((224, 224, 3), jnp.float32)
    lowered = jax.jit(lambda w, x: backbone.apply(w, x).features).lower(weights, image)
    ours = network_cost(backbone, 224).multiply_adds
    assert ours <= lowered.cost_analysis()["flops"] / 2 <= 1.05 * ours


def test_products_of_activations_count_wherever_they_are():
    def network(x, norm):
        y = x.reshape(-1, x.shape[-1])
        mixed = jnp.einsum("qk,kd->qd", jax.nn.softmax(jnp.einsum("qd,kd->qk", y, y)), y)
        return Pointwise(2, name="out")(mixed.reshape(x.shape), norm)

    layers = traced(network, (4, 6, 3)).layers
    products = [layer for layer in layers if layer.kind == "product"]
    assert [layer.multiply_adds for layer in products] == [24 * 24 * 3, 24 * 24 * 3]
    assert [layer.kind for layer in layers] == ["product", "other", "product", "pointwise"]
    assert [layer.path for layer in products] == ["qd,kd->qk", "qk,kd->qd"]


def test_the_resizing_of_an_image_is_no_product():
    def network(x, norm):
        return Pointwise(2, name="out")(jax.image.resize(x, (8, 8, 3), "bilinear"), norm)

    assert [layer.multiply_adds for layer in traced(network, (5, 5, 3)).layers] == [0, 64 * 3 * 2]


def test_a_layer_that_runs_often_counts_each_time():
    def network(weights, image):
        return jax.lax.scan(lambda x, _: (x @ weights["a"]["w"], None), image, length=5)[0]

    square = jax.ShapeDtypeStruct((3, 3), jnp.float32)
    assert cost_of(network, {"a": {"w": square}}, square).multiply_adds == 5 * 27


def test_a_loop_without_an_end_is_refused():
    def network(weights, image):
        return jax.lax.while_loop(lambda x: x[0, 0] < 1, lambda x: x @ weights["a"]["w"], image)

    square = jax.ShapeDtypeStruct((3, 3), jnp.float32)
    with pytest.raises(UncountableError, match="scan"):
        cost_of(network, {"a": {"w": square}}, square)


@pytest.mark.parametrize(
    ("name", "size", "bytes_per_value", "said"),
    [
        ("mobilenet_v2_0.35", 0, 4, "give 2 or more"),
        ("isometric", 15, 4, "give 16 or more"),
        ("mobilenet_v2_0.35", 32, 3, "give one of 4, 2, 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(name, size, bytes_per_value, said):
    with pytest.raises(CostSettingError, match=said):
        network_cost(build(registry.table(name)), size, bytes_per_value=bytes_per_value)
