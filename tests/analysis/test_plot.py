"""The picture of a network's cost."""

import io

import numpy as np
import pytest
from PIL import Image

from adapters.analysis import plot
from adapters.analysis.cost import LayerCost, NetworkCost
from adapters.analysis.roofline import machine


def layer(path, kind, multiply_adds):
    return LayerCost(path, kind, (4, 4, 8), multiply_adds, 10, 40, 1024, 2048)


COST = NetworkCost(
    (
        layer("stem", "convolution", 9000),
        layer("block_01/depthwise", "depthwise", 500),
        layer("block_01/project", "pointwise", 70_000),
        layer("block_01/add", "other", 0),
        layer("block_02/einsum", "product", 3000),
        layer("head", "dense", 100),
    )
)


def pixels(cost):
    return np.asarray(Image.open(io.BytesIO(plot.picture("net", cost, machine("cpu")))))


def test_the_same_figures_give_the_same_bytes():
    assert plot.picture("net", COST, machine("cpu")) == plot.picture("net", COST, machine("cpu"))


@pytest.mark.parametrize(
    ("kind", "drawn"), [("pointwise", True), ("depthwise", True), ("dense", False)]
)
def test_a_bar_stands_for_each_layer_in_the_colour_of_its_kind(kind, drawn):
    image = pixels(NetworkCost(COST.layers[:3]))
    colour = tuple(bytes.fromhex(plot._KINDS[kind][0][1:]))
    assert bool(np.all(image[..., :3] == colour, axis=-1).sum() > 1000) is drawn


def test_a_network_without_products_is_drawn_too():
    assert pixels(NetworkCost(COST.layers[3:4])).shape[2] == 4
