"""The roofline: each layer by its own limit, and the sum."""

import pytest

from adapters.analysis.cost import network_cost
from adapters.analysis.roofline import MACHINES, Machine, MachineError, machine
from adapters.backbones import registry
from adapters.backbones.builder import build
from adapters.errors import UnknownNameError


def test_a_layer_takes_the_longer_of_both_times():
    slow_memory = Machine("by hand", multiply_adds_per_second=1000.0, bytes_per_second=10.0)
    assert slow_memory.ridge_point == 100.0
    assert slow_memory.seconds(500, 20) == 2.0
    assert slow_memory.seconds(5000, 20) == 5.0
    assert slow_memory.seconds(0, 20) == 2.0


def test_latency_is_the_sum_over_layers():
    cost = network_cost(build(registry.table("mobilenet_v2_0.35")), 96, bytes_per_value=1)
    endless = 1e30
    products = Machine("products", 1e9, endless)
    assert cost.seconds(products) == pytest.approx(cost.multiply_adds / 1e9)
    memory = Machine("memory", endless, 1e8)
    moved = cost.weight_bytes + sum(layer.activation_bytes for layer in cost.layers)
    assert cost.seconds(memory) == pytest.approx(moved / 1e8)
    both = Machine("both", 1e9, 1e8)
    slowest = max(cost.seconds(products), cost.seconds(memory))
    assert slowest < cost.seconds(both) < cost.seconds(products) + cost.seconds(memory)


def test_a_machine_of_twice_the_speed_takes_half_as_long():
    cost = network_cost(build(registry.table("mobilenet_v2_0.35")), 96)
    cpu = machine("cpu")
    twice = Machine("twice", 2 * cpu.multiply_adds_per_second, 2 * cpu.bytes_per_second)
    assert cost.seconds(twice) == pytest.approx(cost.seconds(cpu) / 2)


def test_declared_machines_have_the_published_ridge_points():
    ridges = {name: found.ridge_point for name, found in MACHINES.items()}
    assert ridges == pytest.approx({"cpu": 31, "dsp": 347, "edge_tpu": 434})


def test_a_machine_is_declared_by_its_speeds():
    assert machine("2e9,4e8") == Machine("2e9,4e8", 2e9, 4e8)


@pytest.mark.parametrize(
    ("name", "said"),
    [("0,1e9", "above zero"), ("1e9,inf", "finite"), ("nan,1", "above zero"), ("1e9,", "310e9")],
)
def test_machines_that_cannot_be_are_refused(name, said):
    with pytest.raises(MachineError, match=said):
        machine(name)


def test_a_mistyped_machine_offers_near_names():
    with pytest.raises(UnknownNameError, match="edge_tpu"):
        machine("edge_tpuu")
