"""Costs beside multiply-adds: each against every route of a small space, added up by hand."""

import itertools

import jax
import numpy as np
import pytest

from adapters.analysis.cost import network_cost
from adapters.analysis.roofline import Machine, MachineError
from adapters.backbones.builder import build
from adapters.errors import UnknownNameError
from adapters.search.blocks import block_space, largest
from adapters.search.cost_names import Asked, CostNameError, costing
from adapters.search.costs import map_sides, multiply_adds, roofline
from adapters.search.cropped import cropped_table, kept_blocks
from adapters.search.latencies import LatencyError, entry, row_text
from adapters.spec import SpecError
from adapters.training import tidy
from tests import narrow
from tests.backbones.families import FAMILIES

SPACE = block_space(narrow.TABLE)
ROUTES = np.array(list(itertools.product(*map(range, SPACE.space.widths))), np.int32)
SIZE = 30
EVEN = Machine("even", 50e9, 10e9)  # some of the narrow network's layers wait for memory, some not


def asked(times=None, space=SPACE, size=SIZE):
    return Asked(space, size, times)


def test_a_roofline_is_that_of_the_cropped_network():
    costs = roofline(SPACE, SIZE, EVEN, bytes_per_value=1)
    limits = set()
    for route in (largest(SPACE), np.array([1, 0, 0, 0, 0]), np.array([0, 0, 1, 1, 1])):
        network = network_cost(build(cropped_table(SPACE, route, "route")), SIZE, 0, 1)
        assert costs.exact(route) == pytest.approx(network.seconds(EVEN), rel=1e-9)
        limits |= {layer.limit(EVEN) for layer in network.layers if layer.multiply_adds}
    assert limits == {"compute", "memory"}


@pytest.mark.parametrize(("summary", "over"), [("mean", np.mean), ("worst", max)])
def test_several_devices_are_each_held_to_the_largest_s_time_there(summary, over):
    slow = "machine(multiply_adds_per_second=2e9, bytes_per_second=10e9)"  # in products alone
    single = [costing(name)(asked()) for name in ("edge_tpu", slow)]
    both = costing(f"{summary}(edge_tpu+{slow})")(asked())
    expected = [
        over([one.exact(route) / one.exact(largest(SPACE)) for one in single]) for route in ROUTES
    ]
    np.testing.assert_allclose(both.exactly(ROUTES), expected, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(both.of)(ROUTES), expected, rtol=1e-5)
    assert both.exact(largest(SPACE)) == 1
    first, second = (one.exactly(ROUTES) / one.exact(largest(SPACE)) for one in single)
    assert (first - second).min() < -0.02  # they do not agree which route is dear
    assert (first - second).max() > 0.02


def times_of(path, examples=32, threads=2, without=(), processor="Z80 (family 8, model 0)"):
    """A file of made-up times, and what it has by (row, side): milliseconds of a batch."""
    generator, rows, known = np.random.default_rng(0), [], {}
    sides = map_sides(narrow.TABLE, SIZE)
    for route in ROUTES:
        for block, row in kept_blocks(SPACE, route):
            key = row, sides[block]
            if key in known or block in without:
                continue
            known[key] = float(generator.integers(1, 100))
            setting = f"{entry(*key, examples, threads)}, {processor}"
            rows.append(tidy.Measurement("", "b", "", setting, 0, "", "time", known[key], "ms", ""))
    tidy.update(path, rows)
    return known


def test_measured_times_are_those_of_a_route_s_blocks_together(tmp_path):
    path = tmp_path / "times.csv"
    known, sides = times_of(path, 4, 1), map_sides(narrow.TABLE, SIZE)
    expected = [
        sum(known[row, sides[block]] for block, row in kept_blocks(SPACE, route)) / 1000 / 4
        for route in ROUTES
    ]
    found = costing("measured(batch=4, threads=1)")(asked(path))
    np.testing.assert_allclose(found.exactly(ROUTES), expected, rtol=1e-12)


def test_a_time_that_was_not_measured_is_named(tmp_path):
    path = tmp_path / "times.csv"
    times_of(path, without=["block_02"])
    with pytest.raises(LatencyError, match=r"no time of inverted_residual\(inputs=8, outputs=12"):
        costing("measured")(asked(path))
    times_of(path)
    times_of(path, processor="Z80, later")
    with pytest.raises(
        LatencyError, match=r"several times .*: of Z80 \(family 8, model 0\), Z80, l"
    ):
        costing("measured")(asked(path))
    with pytest.raises(LatencyError, match="no file is named") as raised:
        costing("measured")(asked())
    assert raised.value.settings == ("latencies",)
    with pytest.raises(LatencyError, match="cannot be read"):
        costing("measured")(asked(tmp_path))


def test_no_two_rows_have_one_text():
    rows = {row for table in FAMILIES.values() for row in table.rows}
    assert len({row_text(row) for row in rows}) == len(rows)


def test_images_that_a_network_resizes_cost_what_its_own_size_costs():
    table = FAMILIES["isometric"]
    space = block_space(table)
    cheapest = np.zeros_like(largest(space))
    expected = network_cost(build(cropped_table(space, cheapest, "route")), 32).multiply_adds
    assert multiply_adds(space, 32).exact(cheapest) == expected


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("worse(cpu+dsp)", UnknownNameError, "Did you mean 'worst'"),
        ("tpu", UnknownNameError, "edge_tpu"),
        ("cpu+dsp", SpecError, r"mean\(cpu\+dsp\)"),
        ("mean", CostNameError, r"mean\(cpu\+dsp\+edge_tpu\), say"),
        ("worst(cpu+multiply_adds)", UnknownNameError, "no cost is called 'multiply_adds'"),
        ("cpu(dsp)", CostNameError, "nothing in brackets"),
        ("multiply_adds(size=3)", CostNameError, "no settings"),
        ("measured(cores=2)", CostNameError, "no setting 'cores'; it has: batch, threads"),
        ("machine(bytes_per_second=1e9)", CostNameError, "multiply_adds_per_second=..."),
        ("machine(multiply_adds_per_second=0, bytes_per_second=1e9)", MachineError, "above zero"),
    ],
)
def test_a_cost_that_is_none_is_refused(spec, error, said):
    with pytest.raises(error, match=said):
        costing(spec)
