"""Placements of patches: what a layer may take, what that stores, and what it leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.patches.layer import bits_by_layer
from adapters.patches.scale_bias import scale_bias
from adapters.search.placement import NONE, members, placed, placement_space, starting_logits
from adapters.search.route import ROUTE
from adapters.search.space import SpaceError
from adapters.store.edits import apply_edits
from tests import narrow

WEIGHTS = narrow.weights()
SPACE = placement_space(members(), WEIGHTS)
PATCH = placed(SPACE)


def params(**chosen):
    """Of a task that places some members at layers, all of them trained a little."""
    made = PATCH.init(jax.random.key(0), WEIGHTS)
    route = np.zeros(len(SPACE.space), np.int32)
    for layer, name in chosen.items():
        place = SPACE.places[layer.replace("__", "/")]
        route[place] = SPACE.space.decisions[place].options.index(name)
    fixed = {**made.fixed, ROUTE: jnp.asarray(route)}
    return made._replace(trained=narrow.disturbed(made.trained, 2), fixed=fixed), route


def test_what_each_layer_may_take_and_its_bytes():
    options = {d.name: d.options for d in SPACE.space.decisions}
    assert options["stem"] == (NONE, "scale_bias")
    assert options["block_02/depthwise"] == (NONE, "scale_bias", "depthwise")
    assert options["tail"] == (NONE, "scale_bias", "lora")
    assert not any("squeeze_excite" in layer for layer in options)
    table = SPACE.costs.blocks[SPACE.places["block_02/depthwise"]]
    assert table.tolist() == [0, 4 * 2 * 16, 4 * 25 * 16]
    assert SPACE.costs.blocks[SPACE.places["tail"]].tolist() == [0, 4 * 2 * 16, 4 * 2 * (12 + 16)]


def test_a_file_holds_what_is_placed_and_nothing_else():
    made, route = params(stem="scale_bias", block_02__depthwise="depthwise", tail="lora")
    edits = jax.tree.map(np.asarray, PATCH.pack(made))
    held = {(kind, path) for kind, modules in edits.items() for path in modules}
    assert held == {
        ("replace", "stem/norm"),
        ("replace", "block_02/depthwise"),
        ("low_rank", "tail"),
    }
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(edits)) == SPACE.costs.exact(route)
    cost = {k: int(v) for k, v in bits_by_layer(PATCH.cost(made)).items() if v}
    assert cost == {"stem": 512, "block_02/depthwise": 12800, "tail": 1792}


def test_a_file_answers_as_the_placement_was_trained():
    made, _ = params(stem="scale_bias", block_02__depthwise="depthwise", tail="lora")
    image = narrow.normalised(narrow.images(1, 1)[0][0])[0]
    run = jax.jit(narrow.BACKBONE.apply)
    trained = run(PATCH.apply(WEIGHTS, made, {}), image).features
    edited = apply_edits(
        jax.tree.map(np.asarray, WEIGHTS), jax.tree.map(np.asarray, PATCH.pack(made))
    )
    np.testing.assert_allclose(run(edited, image).features, trained, rtol=1e-5, atol=1e-5)


def test_what_is_not_placed_changes_no_bit_and_learns_nothing():
    made, _ = params(tail="scale_bias")
    patched = jax.jit(lambda made: PATCH.apply(WEIGHTS, made, {}))(made)
    changed = {
        path
        for path, leaves in WEIGHTS.items()
        if any(not np.array_equal(leaf, patched[path][name]) for name, leaf in leaves.items())
    }
    assert changed == {"tail/norm"}

    def total(trained):
        found = PATCH.apply(WEIGHTS, made._replace(trained=trained), {})
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(found))

    slopes = jax.jit(jax.grad(total))(made.trained)
    assert all(np.all(leaf == 1) for leaf in jax.tree.leaves(slopes["scale_bias"]["tail/norm"]))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(slopes["scale_bias"]["stem/norm"]))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(slopes["depthwise"]))


@pytest.mark.parametrize("share", [0.05, 0.4])
def test_it_begins_with_placements_of_the_budget_on_average(share):
    target = share * sum(float(table.max()) for table in SPACE.costs.blocks)
    logits = starting_logits(SPACE, target)
    mean = 0.0
    for row, table in zip(logits, SPACE.costs.blocks, strict=True):
        chances = np.exp(row[: len(table)])
        mean += float(chances @ table / chances.sum())
    assert mean == pytest.approx(target, rel=1e-4)


def test_patches_that_change_no_layer_make_no_space():
    with pytest.raises(SpaceError, match="nothing can be placed"):
        placement_space({}, WEIGHTS)
    assert len(placement_space({"scale_bias": scale_bias()}, WEIGHTS).space) == 10
