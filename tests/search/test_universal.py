"""Universal bottlenecks in a space: each of their four forms, masked, stored and really cropped."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.analysis.cost import network_cost
from adapters.backbones.builder import build
from adapters.backbones.mobilenet_v4 import mobilenet_v4_conv_medium
from adapters.backbones.pruning import pruned
from adapters.backbones.rows import Convolution, UniversalBottleneck
from adapters.backbones.table import LayerTable
from adapters.benchmarking import stand_ins
from adapters.patches.replacement import with_leaves
from adapters.search.blocks import block_space, largest
from adapters.search.costs import multiply_adds, roofline
from adapters.search.cropped import cropped, cropped_table
from adapters.search.masks import masked, stored
from tests import narrow
from tests.search.test_costs import EVEN


def universal(inputs, outputs, **columns):
    return UniversalBottleneck(inputs=inputs, outputs=outputs, **columns)


TABLE = LayerTable(
    "narrow_universal",
    (
        Convolution(inputs=3, outputs=8, kernel=3, stride=2, activation="relu"),
        universal(8, 12, start_kernel=3, kernel=5, expanded=16, stride=2, activation="relu"),
        universal(12, 12, start_kernel=5, kernel=3, expanded=24, activation="relu"),
    ),
)
SPACE = block_space(TABLE)
NETWORK = build(TABLE, "same", narrow.EPSILON)
FORMS = {
    "extra depthwise": [1, 0, 1, 0, 1, 1, 1],
    "inverted bottleneck": [1, 1, 0, 0, 0, 1, 0],
    "ConvNext": [1, 1, 1, 0, 2, 0, 1],
    "feed-forward": [0, 1, 1, 0, 0, 0, 1],
    "skipped": [0, 0, 0, 1, 0, 0, 0],
}


WEIGHTS = jax.tree.map(np.asarray, narrow.disturbed(stand_ins.weights(TABLE), seed=1))
IMAGES = narrow.normalised(narrow.images(1, 2)[0][0])


def features(network, weights, mode):
    """Of `IMAGES`, whose norms have the batch's own statistics or those among the weights."""

    def one(image):
        return network.apply(weights, image, mode, jnp.ones(1), ("images",)).features

    return jax.vmap(one, axis_name="images")(IMAGES)


def test_the_decisions_of_universal_bottlenecks():
    assert {decision.name: decision.options for decision in SPACE.space.decisions} == {
        "block_01 start_kernel": ("0", "3"),
        "block_01 kernel": ("3", "5"),  # it carries the stride
        "block_01 expansion": ("8", "16"),
        "block_02 skip": ("keep", "skip"),
        "block_02 start_kernel": ("0", "3", "5"),
        "block_02 kernel": ("0", "3"),
        "block_02 expansion": ("16", "24"),
    }


def test_a_layer_inside_stays_where_its_activation_would_be_done_once_less():
    rows = (TABLE.rows[0], universal(8, 8, kernel=3, expanded=16, activation="gelu"))
    found = block_space(LayerTable("narrow_gelu", rows))
    assert [d.name for d in found.space.decisions] == ["block_01 skip", "block_01 expansion"]


def test_the_space_over_mobilenet_v4():
    """All four forms where Conv-M has both layers and no stride."""
    space = block_space(mobilenet_v4_conv_medium())
    both = [
        own
        for own in space.places.values()
        if {"start_kernel", "kernel"} <= own.keys()
        and all("0" in space.space.decisions[own[k]].options for k in ("start_kernel", "kernel"))
    ]
    rows = [row for row in space.table.rows if isinstance(row, UniversalBottleneck)]
    assert len(rows) == len(space.places) == 21
    assert len(space.space) == 69
    assert len(both) == sum(row.stride == 1 and row.start_kernel * row.kernel > 0 for row in rows)


# Quick to compile; the same answers to 1e-6.
jitted = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}, static_argnums=(0, 2)
)
RUN = jitted(features)


@jitted
def masked_run(network, route, mode):
    return features(network, with_leaves(WEIGHTS, masked(SPACE, WEIGHTS, route)), mode)


@pytest.mark.parametrize("name", FORMS)
def test_each_form_masked_equals_it_cropped(name):
    """With the batch's own statistics, which a layer that merely did nothing would suffer from."""
    route = np.array(FORMS[name], np.int32)
    table, smaller = cropped(SPACE, route, WEIGHTS, "narrow_route")
    expected = RUN(build(table, "same", narrow.EPSILON), smaller, "batch")
    np.testing.assert_allclose(
        masked_run(NETWORK, jnp.asarray(route), "batch"), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", FORMS)
def test_a_file_of_each_form_holds_what_is_cropped_from_it(name):
    route = np.array(FORMS[name], np.int32)
    changed = with_leaves(WEIGHTS, masked(SPACE, WEIGHTS, jnp.asarray(route)))
    held = stored(SPACE, jax.tree.map(np.asarray, changed), narrow.EPSILON)
    table, smaller = cropped(SPACE, route, WEIGHTS, "narrow_route")
    left, arrays = pruned(TABLE, held, narrow.EPSILON)
    assert left.rows == table.rows
    jax.tree.map(np.testing.assert_array_equal, arrays, smaller)
    if name == "feed-forward":  # neither depthwise layer of the block
        expected = RUN(build(table, "same", narrow.EPSILON), smaller, "frozen")
        np.testing.assert_allclose(RUN(NETWORK, held, "frozen"), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FORMS)
def test_each_form_costs_what_the_cropped_network_costs(name):
    route = np.array(FORMS[name], np.int32)
    network = network_cost(build(cropped_table(SPACE, route, "route")), 30)
    assert multiply_adds(SPACE, 30).exact(route) == network.multiply_adds
    assert roofline(SPACE, 30, EVEN).exact(route) == pytest.approx(network.seconds(EVEN), rel=1e-9)


def test_the_largest_route_changes_no_bit():
    changed = with_leaves(WEIGHTS, masked(SPACE, WEIGHTS, jnp.asarray(largest(SPACE))))
    held = stored(SPACE, changed, narrow.EPSILON)
    jax.tree.map(np.testing.assert_array_equal, held, WEIGHTS)
