"""A route by masks equals the network that is really cropped, and costs what that one costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.analysis.cost import network_cost
from adapters.backbones.builder import build
from adapters.backbones.mobilenet_v1 import mobilenet_v1
from adapters.backbones.mobilenet_v3 import mobilenet_v3_large
from adapters.backbones.sites import sites
from adapters.search.blocks import block_space, largest
from adapters.search.costs import multiply_adds
from adapters.search.cropped import cropped, cropped_table
from adapters.search.masks import masked
from adapters.search.space import SpaceError
from tests import narrow

NARROW = block_space(narrow.TABLE)


def routes(space, number, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, space.space.widths).astype(np.int32) for _ in range(number)]


def test_the_decisions_of_a_table():
    found = {decision.name: decision.options for decision in NARROW.space.decisions}
    assert found == {
        "block_01 skip": ("keep", "skip"),
        "block_02 kernel": ("3", "5"),
        "block_02 squeeze_excite": ("off", "on"),
        "block_03 skip": ("keep", "skip"),
        "block_03 expansion": ("16", "24"),
    }
    hanging = {d.name: d.unless for d in NARROW.space.decisions if d.unless}
    assert hanging == {"block_03 expansion": (3, 1)}
    assert NARROW.space.count() == 2 * 2 * 2 * (2 + 1)


def test_a_masked_route_equals_the_cropped_network():
    """Each option of the narrow table, with weights whose norms have offsets that would leak."""
    weights = narrow.weights()
    images = narrow.normalised(narrow.images(1, 2)[0][0])

    @jax.jit
    def whole(route):
        changed = masked(NARROW, weights, route)
        patched = {path: {**leaves, **changed.get(path, {})} for path, leaves in weights.items()}
        return jax.vmap(lambda image: narrow.BACKBONE.apply(patched, image).features)(images)

    for route in np.array([[0, 0, 0, 0, 0], [1, 1, 1, 0, 1], [0, 1, 0, 1, 0], [1, 0, 1, 0, 0]]):
        table, smaller = cropped(NARROW, route, weights, "narrow_route")
        network = build(table, "same", narrow.EPSILON)
        expected = jax.jit(
            jax.vmap(lambda image, n=network, w=smaller: n.apply(w, image).features)
        )(images)
        np.testing.assert_allclose(whole(jnp.asarray(route)), expected, rtol=1e-5, atol=1e-6)


def test_the_largest_route_changes_no_bit():
    weights = narrow.weights()
    for path, leaves in masked(NARROW, weights, jnp.asarray(largest(NARROW))).items():
        for name, leaf in leaves.items():
            np.testing.assert_array_equal(leaf, weights[path][name])


@pytest.mark.parametrize(
    ("table", "size"),
    [(narrow.TABLE, 64), (narrow.TABLE, 75), (mobilenet_v3_large(), 75)],
    ids=["narrow", "narrow, odd", "mobilenet_v3_large"],
)
def test_costs_are_those_of_the_cropped_table_to_the_unit(table, size):
    space = block_space(table)
    costs = multiply_adds(space, size)
    for route in [largest(space), *routes(space, 1)]:
        expected = network_cost(build(cropped_table(space, route, "route")), size).multiply_adds
        assert float(costs.of(jnp.asarray(route))) == pytest.approx(expected, rel=1e-6)
        assert costs.exact(route) == expected


def test_the_space_over_mobilenet_v3_large():
    """Its 15 blocks: 10 add their input, 6 have 5x5 kernels, 8 have squeeze-excite."""
    space = block_space(mobilenet_v3_large())
    kinds = [decision.name.split()[1] for decision in space.space.decisions]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "expansion": 14,
        "kernel": 6,
        "skip": 10,
        "squeeze_excite": 8,
    }
    assert {site.block for site in sites(space.table) if site.takes_open} == {
        name for name, own in space.places.items() if "skip" in own
    }


def test_a_table_without_a_choice_is_refused():
    with pytest.raises(SpaceError, match="no block to search"):
        block_space(mobilenet_v1())
    with pytest.raises(SpaceError, match="ascend to 1"):
        block_space(narrow.TABLE, shares=(1.0, 0.5))
