"""What does nothing is left out, and nothing that an output shows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.backbones.builder import build, expected_shapes
from adapters.backbones.pruning import pruned
from tests import narrow

WEIGHTS = {
    path: {name: np.asarray(leaf) for name, leaf in leaves.items()}
    for path, leaves in narrow.weights().items()
}


def changed(*edits):
    """The narrow weights with leaves replaced: (path, name, array)."""
    found = {path: dict(leaves) for path, leaves in WEIGHTS.items()}
    for path, name, leaf in edits:
        found[path][name] = np.asarray(leaf, np.float32)
    return found


def silent(path, channels):
    """A norm's scale and offset, 0 in these channels."""
    keeps = np.ones_like(WEIGHTS[path]["scale"])
    keeps[list(channels)] = 0
    return [(path, name, WEIGHTS[path][name] * keeps) for name in ("scale", "offset")]


def rows(weights):
    return pruned(narrow.TABLE, weights)[0].rows


RING = np.pad(np.ones((3, 3, 1, 16), np.float32), ((1, 1), (1, 1), (0, 0), (0, 0)))
CASES = {
    "a block": silent("block_03/project/norm", range(12)),
    "scattered channels": silent("block_03/depthwise/norm", (0, 3, 4, 17)),
    "a kernel's ring": [
        ("block_02/depthwise", "w", WEIGHTS["block_02/depthwise"]["w"] * RING),
    ],
    "a gate": [
        ("block_02/squeeze_excite/expand", "w", np.zeros((4, 16))),
        ("block_02/squeeze_excite/expand", "b", np.full(16, 30.0)),
    ],
    "all at once": [
        *silent("block_03/project/norm", range(12)),
        *silent("block_02/depthwise/norm", (1, 5)),
        ("block_02/depthwise", "w", WEIGHTS["block_02/depthwise"]["w"] * RING),
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_the_smaller_network_answers_alike(name):
    weights = changed(*CASES[name])
    table, smaller = pruned(narrow.TABLE, weights)
    assert table.rows != narrow.TABLE.rows
    shapes = {path: {n: leaf.shape for n, leaf in own.items()} for path, own in smaller.items()}
    assert shapes == expected_shapes(table)
    image = narrow.normalised(narrow.images(1, 1)[0][0])[0]
    whole = jax.jit(narrow.BACKBONE.apply)(weights, image).features
    part = jax.jit(build(table, "same", narrow.EPSILON).apply)(smaller, image).features
    np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-6)


def test_what_is_left():
    assert [row.expanded for row in rows(changed(*CASES["scattered channels"]))[1:4]] == [8, 16, 20]
    assert rows(changed(*CASES["a kernel's ring"]))[2].kernel == 3
    assert rows(changed(*CASES["a gate"]))[2].squeezed == 0
    assert len(rows(changed(*CASES["a block"]))) == len(narrow.TABLE.rows) - 1
    left = rows(changed(*silent("block_03/depthwise/norm", range(24))))[3]
    assert left.expanded == 1  # a block's bias stays: it is added to the input
    left = rows(changed(*silent("block_03/depthwise/norm", range(12))))[3]
    assert left.expanded == 13  # as many as come in would be a block without an expansion


def test_what_acts_stays():
    same = [
        [],
        silent("block_02/project/norm", range(12)),  # its input is not added
        silent("block_03/project/norm", range(11)),
        silent("block_01/depthwise/norm", range(4)),  # it has no expansion to make smaller
        [("block_02/squeeze_excite/expand", "w", np.zeros((4, 16)))],  # a gate, half open
    ]
    for edits in same:
        assert rows(changed(*edits)) == narrow.TABLE.rows


def test_a_closed_block_goes_and_one_with_leaves_of_a_patch_stays():
    closed = changed(("block_03/project", "open", [0.0]))
    assert len(rows(closed)) == len(narrow.TABLE.rows) - 1
    assert rows(changed(("block_03/project", "open", [1.0]))) == narrow.TABLE.rows
    closed["block_03/project"]["side_down"] = np.zeros((24, 2), np.float32)
    assert rows(closed) == narrow.TABLE.rows


def test_modules_outside_the_table_are_passed_on():
    weights = changed(*CASES["a block"])
    weights["preview/stem"] = {"w": jnp.zeros(3)}
    assert "preview/stem" in pruned(narrow.TABLE, weights)[1]
