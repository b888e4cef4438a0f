"""Peak activation memory and bytes moved, by hand."""

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

from adapters.analysis.cost import cost_of, network_cost
from adapters.backbones import registry
from adapters.backbones.builder import build
from adapters.backbones.rows import Convolution as ConvolutionRow
from adapters.backbones.rows import UniversalBottleneck
from adapters.backbones.table import LayerTable
from adapters.layers.convolution import Convolution
from adapters.layers.depthwise import Depthwise
from adapters.layers.norm import Norm, Normalise
from adapters.layers.pointwise import Pointwise


def layers(function, image, bytes_per_value=1):
    """{path: cost} of `function(image, norm)`."""
    network = hk.without_apply_rng(hk.transform(lambda x: function(x, Normalise(1e-3))))
    shape = jax.ShapeDtypeStruct(image, jnp.float32)
    weights = jax.eval_shape(network.init, jax.random.key(0), shape)
    cost = cost_of(network.apply, weights, shape, bytes_per_value)
    return {layer.path: layer for layer in cost.layers}


def live(found):
    return {path: layer.live_bytes for path, layer in found.items()}


@pytest.mark.parametrize("width", [1, 4])
def test_three_layers_one_after_another(width):
    def network(x, norm):
        x = Convolution(4, 3, 2, "same", name="stem")(x, norm, "relu6")
        x = Pointwise(16, name="expand")(x, norm, "relu6")
        return Depthwise(3, 2, "same", name="depthwise")(x, norm)

    image, stem, expand, depthwise = 8 * 8 * 3, 4 * 4 * 4, 4 * 4 * 16, 2 * 2 * 16
    found = layers(network, (8, 8, 3), width)
    assert live(found) == {
        "stem": width * (image + stem),
        "expand": width * (stem + expand),
        "depthwise": width * (expand + depthwise),
    }
    # A kernel and, for its norm, one offset a channel.
    assert {path: layer.weight_bytes for path, layer in found.items()} == {
        "stem": width * (3 * 3 * 3 * 4 + 4),
        "expand": width * (4 * 16 + 16),
        "depthwise": width * (3 * 3 * 16 + 16),
    }
    assert found["expand"].moved_bytes == width * (stem + expand + 4 * 16 + 16)
    assert found["expand"].parameters == 4 * 16 + 2 * 16


def test_what_is_added_later_stays():
    def network(x, norm):
        y = Pointwise(6, name="expand")(x, norm, "relu6")
        y = Depthwise(3, 1, "same", name="depthwise")(y, norm, "relu6")
        y = Pointwise(2, name="project")(y, norm)
        return Pointwise(1, name="after")(x + y, norm)

    pixels = 5 * 4
    assert live(layers(network, (5, 4, 2))) == {
        "expand": pixels * (2 + 6),
        "depthwise": pixels * (2 + 6 + 6),
        "project": pixels * (2 + 6 + 2),
        "add": pixels * (2 + 2 + 2),
        "after": pixels * (2 + 1),
    }


def test_what_two_layers_read_stays_for_the_second():
    def network(x, norm):
        x = Pointwise(8, name="shared")(x, norm)
        small = Pointwise(1, name="first")(x, norm)
        large = Pointwise(2, name="second")(x, norm)
        return jnp.concatenate([small, large], axis=-1)

    assert live(layers(network, (1, 1, 4))) == {
        "shared": 4 + 8,
        "first": 8 + 1,
        "second": 8 + 1 + 2,
        "concatenate": 1 + 2 + 3,
    }


def test_reshapes_and_what_weights_alone_decide_are_no_steps():
    def network(x, norm):
        return Norm(name="norm")(x.reshape(2, 2, 8).reshape(4, 2, 4), norm).reshape(-1)

    found = layers(network, (4, 4, 2))
    assert live(found) == {"norm": 32 + 32}
    assert found["norm"].parameters == 8
    assert found["norm"].weight_bytes == 8  # a gain and an offset a channel


def test_what_stands_between_layers_of_one_block_is_one_step():
    stem = ConvolutionRow(inputs=3, outputs=4, kernel=3)
    middle = UniversalBottleneck(inputs=4, outputs=4, kernel=0, expanded=8, layer_scale=True)
    cost = network_cost(build(LayerTable("scaled", (stem, middle))), 5, bytes_per_value=1)
    assert [layer.path for layer in cost.layers] == [
        "stem",
        "block_01/expand",
        "block_01/project",
        "block_01/add",
        "reduce_sum",
    ]
    scaled_and_added = cost.layers[3]
    assert scaled_and_added.weight_bytes == scaled_and_added.parameters == 4
    assert scaled_and_added.activation_bytes == 3 * 25 * 4
    assert scaled_and_added.live_bytes == 3 * 25 * 4


def test_mobilenet_v2_peaks_in_its_second_block():
    """96 channels at 112 px and, after the stride, at 56 px; arXiv 1801.04381, Table 2."""
    cost = network_cost(build(registry.table("mobilenet_v2_1.0")), 224, bytes_per_value=1)
    assert cost.peak.path == "block_02/depthwise"
    assert cost.peak.live_bytes == 96 * 112**2 + 96 * 56**2
    assert [layer.path for layer in cost.below("block_03")] == [
        "block_03/expand",
        "block_03/depthwise",
        "block_03/project",
        "block_03/add",
    ]
