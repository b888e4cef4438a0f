"""What routes share: its size, and pressure to share more of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from adapters.backbones.builder import count_parameters
from adapters.backbones.rows import Convolution, InvertedResidual
from adapters.backbones.table import LayerTable
from adapters.search import controller
from adapters.search.blocks import block_space
from adapters.search.costs import multiply_adds
from adapters.search.cropped import cropped_table
from adapters.search.rewards import absolute
from adapters.search.union import parameters, pressure, union
from tests import narrow

NARROW = block_space(narrow.TABLE)


def test_parameters_are_those_of_the_cropped_table():
    sizes = parameters(NARROW)
    for route in ([0, 1, 1, 0, 1], [1, 0, 0, 1, 0], [0, 0, 1, 0, 0]):
        route = np.array(route, np.int32)
        assert sizes.exact(route) == count_parameters(cropped_table(NARROW, route, "route"))


def test_what_routes_are_charged_is_the_size_of_the_network_that_holds_them_all():
    routes = np.array([[0, 0, 1, 1, 0], [0, 1, 0, 0, 1], [1, 1, 1, 0, 0]], np.int32)
    together = count_parameters(cropped_table(NARROW, union(NARROW, list(routes)), "union"))
    expected = 0.5 * together / count_parameters(narrow.TABLE)
    np.testing.assert_allclose(pressure(NARROW, 0.5)(jnp.asarray(routes)), expected, rtol=1e-6)


BLOCK = InvertedResidual(inputs=12, outputs=12, kernel=3, expanded=24, activation="relu6")
STEM = Convolution(inputs=3, outputs=12, kernel=3, stride=2, activation="relu6")
TAIL = Convolution(inputs=12, outputs=16, activation="relu6")
FOUR = block_space(LayerTable("four", (STEM, *[BLOCK] * 4, TAIL)), kinds=("skip",))
DOMAINS, SEEDS, STEPS, WEIGHTS = 3, 20, 400, (0.0, 0.3, 1.0)


@functools.cache
def sampled():
    """The last hundred routes of each search, [weights, seeds, 100, domains, 4].

    Every domain likes some of four equal blocks better than others, and may keep two of them.
    """
    costs = multiply_adds(FOUR, 32)
    target = costs.exact(np.array([0, 0, 1, 1]))
    likes = jnp.asarray(0.1 * np.random.default_rng(0).random((SEEDS, DOMAINS, 4), np.float32))
    charged = pressure(FOUR, 1.0)

    def search(weight, likes, key):
        def step(state, key):
            routes = controller.sample(state, key)
            quality = jnp.sum(jnp.where(routes == 0, likes, 0), axis=-1)
            worth = absolute(0.3)(quality, costs.of(routes) / target) - weight * charged(routes)
            domains = jnp.arange(DOMAINS)
            return controller.update(FOUR.space, state, domains, routes, worth, 0.1), routes

        state = controller.init(FOUR.space, DOMAINS)
        return jax.lax.scan(step, state, jax.random.split(key, STEPS))[1][-100:]

    of_seeds = jax.vmap(search, in_axes=(None, 0, 0))
    of_weights = jax.vmap(of_seeds, in_axes=(0, None, None))
    keys = jax.random.split(jax.random.key(0), SEEDS)
    return np.asarray(jax.jit(of_weights)(jnp.asarray(WEIGHTS), likes, keys))


def test_more_pressure_makes_routes_share_more_at_the_same_cost():
    kept = sampled() == 0
    together = kept.any(axis=3).sum(axis=-1).mean(axis=(1, 2))  # blocks that any domain keeps
    alone = kept.sum(axis=-1).mean(axis=(1, 2, 3))
    assert together[0] > together[1] + 0.3
    assert together[1] > together[2]
    np.testing.assert_allclose(alone, 2, atol=0.1)
