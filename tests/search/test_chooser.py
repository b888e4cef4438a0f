"""What choosers keep in the end, and controls that choose nothing."""

import jax
import jax.numpy as jnp
import numpy as np

from adapters.search.blocks import block_space, largest
from adapters.search.chooser import Settling, by_controller, by_evolution, one_for_all
from adapters.search.controls import routes_of_equal_cost
from adapters.search.costs import multiply_adds
from tests import narrow

SPACE = block_space(narrow.TABLE)
COSTS = multiply_adds(SPACE, narrow.SIZE)
WHOLE = COSTS.exact(largest(SPACE))


def test_evolution_keeps_the_best_that_may_be_had():
    made = by_evolution(SPACE.space, COSTS, 0.8 * WHOLE)
    routes = np.stack([largest(SPACE)] * 2)
    cheap = routes.copy()
    cheap[:, [0, 3]] = 1  # both residual blocks are skipped
    state = made.init(2)
    for tried, reward, rate in ((routes, 0.9, 1.0), (cheap, 0.5, 1.0), (cheap, 0.6, 0.0)):
        state = made.learn(state, jnp.asarray(tried), jnp.full(2, reward), jnp.float32(rate))
    assert state.born.tolist() == [2, 2]  # a rate of 0 teaches nothing
    np.testing.assert_array_equal(made.settle(state, jax.random.key(0)), cheap)
    dear = by_evolution(SPACE.space, COSTS, 2.0 * WHOLE).settle(state, jax.random.key(0))
    np.testing.assert_array_equal(dear, routes)


def test_what_is_kept_spends_what_it_may():
    """The route of the least cost is the most probable, and leaves too much."""
    widest = 0.9 * WHOLE
    start = np.zeros((5, 2), np.float32)
    start[[0, 3], 1] = 4.0  # blocks are skipped
    cheapest = np.array([1, 0, 0, 1, 0], np.int32)
    for under, spends in ((0.0, False), (0.8, True)):
        settling = Settling(over=1.0, under=under, drawn=512, cheapest=cheapest)
        made = by_controller(SPACE.space, COSTS, widest, start, settling)
        (route,) = np.asarray(made.settle(made.init(1), jax.random.key(0)))
        assert COSTS.exact(route) <= widest
        assert (COSTS.exact(route) >= 0.8 * widest) == spends


def test_the_oldest_of_a_population_dies():
    made = by_evolution(SPACE.space, COSTS, WHOLE)
    state, whole, learn = made.init(1), jnp.asarray(largest(SPACE))[None], jax.jit(made.learn)
    for reward in range(51):
        state = learn(state, whole, jnp.full(1, float(reward)), jnp.float32(1))
    assert sorted(state.rewards[0].tolist()) == [float(n) for n in range(1, 51)]


def test_one_controller_for_all_gives_all_one_route_and_learns_of_their_mean():
    single = by_controller(SPACE.space, COSTS, WHOLE)
    made = one_for_all(single, 3)
    state = made.init(3)
    routes = made.draw(state, jax.random.key(1))
    assert routes.shape == (3, 5)
    assert (np.asarray(routes) == np.asarray(routes[:1])).all()
    moved = jax.jit(made.learn)(state, routes, jnp.asarray([0.1, 0.2, 0.6]), jnp.float32(0.1))
    alone = jax.jit(single.learn)(state, routes[:1], jnp.asarray([0.3]), jnp.float32(0.1))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), moved, alone)


def test_random_routes_cost_what_they_should_and_differ():
    arguments = (SPACE.space, COSTS, largest(SPACE), 0.8 * WHOLE, 6)
    found = routes_of_equal_cost(*arguments, seed=1)
    for each in found:
        SPACE.space.check(each)
        assert abs(COSTS.exact(each) / (0.8 * WHOLE) - 1) <= 0.06  # few routes, none nearer
    assert len({tuple(each) for each in found}) > 1
    np.testing.assert_array_equal(found, routes_of_equal_cost(*arguments, seed=1))
    for each in routes_of_equal_cost(*arguments, seed=2, over=0.0):
        assert COSTS.exact(each) <= 0.8 * WHOLE
