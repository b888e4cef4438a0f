"""NetAdapt: what it proposes, which proposal it takes, and what it goes back to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.backbones.mobilenet_v2 import mobilenet_v2
from adapters.backbones.rows import Convolution, InvertedResidual
from adapters.backbones.table import LayerTable
from adapters.heads.classification import classification
from adapters.heads.together import TaskHeads
from adapters.patches.contract import PatchParams
from adapters.search.blocks import largest, width_space
from adapters.search.costs import multiply_adds
from adapters.search.netadapt import Plan, netadapt, proposals, uniform
from adapters.search.route import ROUTE
from adapters.search.supernet import routes_of
from adapters.training.state import Batch, Metrics, State, Trainer

TABLE = LayerTable(
    "two_wide",
    (
        Convolution(inputs=3, outputs=8, kernel=3, stride=2, activation="relu6"),
        InvertedResidual(inputs=8, outputs=8, kernel=3, expanded=48, activation="relu6"),
        InvertedResidual(inputs=8, outputs=8, kernel=5, expanded=64, activation="relu6"),
        Convolution(inputs=8, outputs=16, activation="relu6"),
    ),
)
SPACE = width_space(TABLE)
COSTS = multiply_adds(SPACE, 32)
BEGIN = largest(SPACE)
WHOLE = COSTS.exact(BEGIN)
BATCH = Batch(np.array([0, 1]), {"image": np.zeros((2, 2, 1))}, {"label": np.zeros((2, 2))})


def test_the_space_of_widths_has_a_decision_a_block_and_a_quarter_at_least():
    options = {decision.name: decision.options for decision in SPACE.space.decisions}
    assert options == {
        "block_01 expansion": ("16", "24", "32", "40", "48"),
        "block_02 expansion": ("16", "24", "32", "40", "48", "56", "64"),
    }
    assert len(width_space(mobilenet_v2()).space) == 16  # the first block has no expansion


def test_a_proposal_changes_one_block_and_keeps_as_much_as_its_target_allows():
    made = proposals(SPACE, COSTS, BEGIN, 0.95 * WHOLE)
    assert len(made) == len(SPACE.places)
    for proposal in made:
        assert (proposal != BEGIN).sum() == 1
        assert COSTS.exact(proposal) <= 0.95 * WHOLE
        place = int(np.flatnonzero(proposal != BEGIN)[0])
        wider = proposal.copy()
        wider[place] += 1
        assert COSTS.exact(wider) > 0.95 * WHOLE or (wider == BEGIN).all()
    smallest = proposals(SPACE, COSTS, BEGIN, 0.0)
    assert [int(p.min()) for p in smallest] == [0] * len(smallest)


def test_one_width_for_all_blocks_comes_as_near_as_it_can():
    half = uniform(SPACE, COSTS, COSTS.exact(np.array([1, 2], np.int32)))
    assert SPACE.space.named(half) == {"block_01 expansion": "24", "block_02 expansion": "32"}
    np.testing.assert_array_equal(uniform(SPACE, COSTS, WHOLE), BEGIN)


def counting(rounds, trained, target=0.8 * WHOLE):
    """NetAdapt on a network that counts its steps; `good` is how well the present one does."""
    heads = TaskHeads((classification(),) * 2, (2, 2))

    def init(key, weights):
        fixed = {ROUTE: jnp.zeros((2, len(SPACE.space)), jnp.int32)}
        trained = {"count": jnp.zeros((2,))}
        return State(jnp.int32(0), PatchParams(trained, (), fixed), {}, {}, (), (), ({}, ()))

    def step(state, weights, batch, key, number):
        more = jax.tree.map(lambda leaf: leaf + 1, state.patches.trained)
        moved = state._replace(step=state.step + 1, patches=state.patches._replace(trained=more))
        return moved, Metrics(jnp.zeros(2), {})

    plan = Plan(SPACE, COSTS, target, BEGIN, rounds, trained)
    good = {"now": 0.0}
    made = netadapt(
        Trainer(init, step, heads, None), lambda *_: jnp.full(2, good["now"], jnp.float32), plan
    )
    return made, plan, good


def test_a_proposal_that_still_costs_too_much_is_not_taken_however_well_it_does():
    smallest = [COSTS.exact(each) for each in proposals(SPACE, COSTS, BEGIN, 0.0)]
    assert smallest[1] < smallest[0]
    made, plan, good = counting(rounds=1, trained=1, target=(smallest[0] + smallest[1]) / 2)
    state = made.init(jax.random.key(0), {})
    for number, good["now"] in enumerate([0.9, 0.1, 0.5]):
        state, _ = made.step(state, {}, BATCH, jax.random.key(0), number)
    assert COSTS.exact(np.asarray(routes_of(state)[0])) <= plan.target
    nothing_fits, _, good = counting(rounds=1, trained=1, target=0.0)
    state = nothing_fits.init(jax.random.key(0), {})
    for number, good["now"] in enumerate([0.9, 0.1, 0.5]):
        state, _ = nothing_fits.step(state, {}, BATCH, jax.random.key(0), number)
    assert COSTS.exact(np.asarray(routes_of(state)[0])) == smallest[1]


def test_a_round_goes_on_from_its_best_proposal_and_others_are_forgotten():
    made, plan, good = counting(rounds=2, trained=2)
    state = made.init(jax.random.key(0), {})
    np.testing.assert_array_equal(routes_of(state), [BEGIN, BEGIN])
    routes = []
    # Two rounds of two proposals of two steps: the first block's is best, then the second's.
    for number, good["now"] in enumerate([0.5, 0.5, 0.9, 0.0, 0.1, 0.2, 0.3, 0.1, 0.0, 0.0]):
        state, _ = made.step(state, {}, BATCH, jax.random.key(0), number)
        routes.append(tuple(routes_of(state)[0].tolist()))
    assert int(state.step) == plan.searching + 2 == 10
    first = proposals(SPACE, COSTS, BEGIN, plan.target_of(0))
    second = proposals(SPACE, COSTS, first[0], plan.target_of(1))
    expected = [*first, *second, second[1]]
    assert routes == [tuple(route.tolist()) for route in expected for _ in range(2)]
    assert COSTS.exact(second[1]) <= plan.target == pytest.approx(plan.target_of(1))
    # A route's own steps alone: two of each round, then the two at the end.
    np.testing.assert_array_equal(state.patches.trained["count"], [6.0, 6.0])
