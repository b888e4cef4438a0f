"""Sites, told by rows, against the modules of the network that is built of them."""

import functools

import jax
import jax.numpy as jnp
import pytest

from adapters import modules
from adapters.analysis.tracing import trace
from adapters.backbones import registry
from adapters.backbones.builder import build, expected_shapes
from adapters.backbones.sites import sites
from tests.backbones.families import FAMILIES

TABLES = {
    **{name: make() for name, make in registry.TABLES.items()},
    **{table.name: table for table in FAMILIES.values()},
}
every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
every_family = pytest.mark.parametrize("table", FAMILIES.values(), ids=FAMILIES)


@functools.cache
def built(table):
    """Every leaf's shape, as Haiku makes it; in the same order."""
    weights = jax.eval_shape(build(table).init, jax.random.key(0))
    return {
        path: {name: leaf.shape for name, leaf in leaves.items()}
        for path, leaves in weights.items()
    }


def in_order(shapes):
    return [(path, list(leaves.items())) for path, leaves in shapes.items()]


@every_table
def test_sites_are_the_modules_and_leaves_of_the_network(table):
    assert {site.path: site.leaves for site in sites(table)} == built(table)
    assert in_order(expected_shapes(table)) == in_order(built(table))
    assert len({site.path for site in sites(table)}) == len(sites(table))
    assert [site.index for site in sites(table)] == list(range(len(sites(table))))


@every_table
def test_weights_alone_tell_the_same(table):
    """For whoever has no table: patches, and devices."""
    told = built(table)
    for site in sites(table):
        assert modules.kind_of(told[site.path]) == site.kind
        assert modules.block_of(site.path) == site.block
        assert modules.is_norm(told[site.path]) == (site.kind == "norm")
        if site.kind == "norm" and site.path != f"{site.block}/norm":
            before = sites(table)[site.index - 1]
            assert modules.layer_of(site.path) == before.path
            assert modules.follows_kernel(site.path, told)
    paths = [site.path for site in sites(table)]
    assert sorted(sorted(paths), key=modules.running_order) == paths
    blocks = [name for name, _ in table.named_rows() if name.startswith("block_")]
    assert modules.numbered_blocks(paths) == blocks


@every_table
def test_blocks_that_may_be_skipped_are_those_of_residual_rows(table):
    rows = dict(table.named_rows())
    for name, row in rows.items():
        own = [site for site in sites(table) if site.block == name]
        assert {site.skippable for site in own} == {row.residual}
        taking = [site for site in own if site.takes_open]
        assert len(taking) == row.residual
        if taking:
            after = own[own.index(taking[0]) + 1 :]
            assert {site.kind for site in after} <= {"norm", "layer_scale"}
            assert taking[0].outputs == row.outputs


@every_family
def test_sites_run_in_the_order_of_a_trace_and_halve_maps_where_it_does(table):
    """The network itself: what reads which kernel, and how large a map it writes."""
    backbone, size = build(table), 64
    weights = jax.eval_shape(backbone.init, jax.random.key(0))
    image = jax.ShapeDtypeStruct((size, size, 3), jnp.float32)
    traced = trace(lambda weights, image: backbone.apply(weights, image).features, weights, image)
    layers = [step for step in traced.steps if any(leaf[1] == "w" for leaf in step.leaves)]
    kernels = [site for site in sites(table) if "w" in site.leaves]
    assert [step.path for step in layers] == [site.path for site in kernels]
    for step, site in zip(layers, kernels, strict=True):
        assert step.kind == site.kind
        given, made = (traced.shapes[numbers[-1]] for numbers in (step.reads, step.writes))
        assert made[-1] == site.outputs
        # What these two read has its axes rearranged on the way.
        if step is not layers[0] and not site.path.endswith("attention/output"):
            assert given[-1] == site.inputs
        if site.kind in ("convolution", "depthwise"):
            assert made[0] == -(-given[0] // site.stride)


def test_of_a_network_in_a_network_paths_and_order_are_its_own():
    own = {site.path: site.leaves for site in sites(FAMILIES["mobilenet_v3"])}
    looking = modules.under("preview", own)
    weights = {**built(FAMILIES["mobilenet_v2"]), **looking, "preview/coefficients": {"w": (2, 2)}}
    assert modules.inside("preview", weights) == {**own, "coefficients": {"w": (2, 2)}}
    assert modules.numbered_blocks(weights) == ["block_01", "block_02", "block_03"]
    assert modules.block_of("preview/block_02/expand/norm") == "preview/block_02"
    assert {modules.network_of(path) for path in looking} == {"preview"}
    ordered = sorted(weights, key=modules.running_order)
    assert ordered[: len(looking)] == list(looking)
    assert ordered[len(looking) : len(looking) + 2] == ["preview/coefficients", "stem"]


def test_weights_of_no_table_have_kinds_too():
    assert modules.kind_of({"gain": (3,)}) == "layer_scale"
    assert modules.kind_of({"scale": (3,)}) == "norm"  # one without statistics
    assert modules.kind_of({"table": (3, 4)}) == "other"
    assert modules.block_of("elsewhere") == "elsewhere"
    assert not modules.follows_kernel("elsewhere/norm", {"elsewhere/norm": {"scale": (3,)}})
