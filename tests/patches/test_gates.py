"""Which layers a patch may touch when nobody learns that: at random, or the last ones."""

import jax
import numpy as np
import pytest

from adapters.backbones.builder import build
from adapters.backbones.mobilenet_v2 import mobilenet_v2
from adapters.modules import running_order
from adapters.patches.last import last
from adapters.patches.random_gates import random_gates
from adapters.patches.registry import from_spec
from adapters.training import packing
from tests import narrow

INNER = from_spec("depthwise+scale_bias")
# Bits of each layer of the narrow network: scale, offset, and kernels where depthwise.
LAYERS = {
    "stem": 16,
    "block_01/depthwise": 9 * 8 + 16,
    "block_01/project": 16,
    "block_02/expand": 32,
    "block_02/depthwise": 25 * 16 + 32,
    "block_02/project": 24,
    "block_03/expand": 48,
    "block_03/depthwise": 9 * 24 + 48,
    "block_03/project": 24,
    "tail": 32,
}
LAYERS = {layer: 32 * values for layer, values in LAYERS.items()}


def edited_layers(edits):
    paths = {path for modules in edits.values() for path in modules}
    return {path.removesuffix("/norm") for path in paths}


def params_of_tasks(patch, tasks=8):
    keys = jax.random.split(jax.random.key(0), tasks)
    tables = jax.jit(jax.vmap(patch.init, (0, None)))(keys, narrow.weights())
    return [jax.tree.map(lambda leaf, task=task: leaf[task], tables) for task in range(tasks)]


@pytest.mark.parametrize("budget", [20_000, 8_000])
def test_random_gates_fill_the_budget_with_layers_of_each_tasks_own(budget):
    patch = random_gates(INNER, budget)
    drawn = []
    for params in params_of_tasks(patch):
        layers = edited_layers(packing.task_edits(patch, params))
        bits = sum(LAYERS[layer] for layer in layers)
        assert bits == sum(int(count) for count in patch.cost(params).values())
        assert bits <= budget
        # Nothing that is left would still fit.
        assert min(LAYERS[layer] for layer in LAYERS.keys() - layers) > budget - bits
        drawn.append(layers)
    assert len(set(map(frozenset, drawn))) > 2
    assert set().union(*drawn) == {layer for layer, bits in LAYERS.items() if bits <= budget}


def test_a_layer_that_was_not_drawn_is_the_bases():
    patch = random_gates(INNER, 8_000)
    (params,) = params_of_tasks(patch, 1)
    moved = params._replace(trained=narrow.disturbed(params.trained, seed=5))
    weights = patch.apply(narrow.weights(), moved, {})
    edits = packing.task_edits(patch, moved)
    layers = edited_layers(edits)
    for path, leaves in weights.items():
        same = all((leaves[name] == leaf).all() for name, leaf in narrow.weights()[path].items())
        assert same == (path.removesuffix("/norm") not in layers or path not in edits["replace"])


def test_the_last_layers_are_those_that_a_network_computes_last():
    weights = jax.eval_shape(build(mobilenet_v2(1.0)).init, jax.random.key(0))
    chosen = sorted(
        edited_layers({"": last(INNER, layers=5).init(jax.random.key(0), weights)[0][1]})
    )
    assert chosen == [
        "block_16/project",
        *(f"block_17/{n}" for n in ("depthwise", "expand", "project")),
        "tail",
    ]


@pytest.mark.parametrize(
    ("budget", "count"),
    [(0, 0), (1_023, 0), (1_024, 1), (1_024 + 768 + 8_448 + 1_536, 4), (10**6, 10)],
)
def test_as_many_last_layers_as_a_budget_holds(budget, count):
    patch = last(INNER, budget_bits=budget)
    params = patch.init(jax.random.key(0), narrow.weights())
    layers = edited_layers(packing.task_edits(patch, params))
    assert layers == set(list(LAYERS)[len(LAYERS) - count :])
    np.testing.assert_array_equal(sum(patch.cost(params).values()), sum(LAYERS[x] for x in layers))


def test_the_running_order_has_every_kind_of_layer():
    ordered = [
        "stem",
        "block_02",
        "block_02/attention/query",
        "block_02/attention/key_depthwise",
        "block_02/attention/key",
        "block_02/attention/output",
        "block_02/layer_scale",
        "block_03/start_depthwise",
        "block_03/expand",
        "block_03/depthwise",
        "block_03/squeeze_excite/reduce",
        "block_03/squeeze_excite/expand",
        "block_03/project",
        "block_10/expand",
        "tail",
        "pooled",
    ]
    assert sorted(sorted(ordered), key=running_order) == ordered
