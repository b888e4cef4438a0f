"""The contract of who chooses routes in a search, and the two that learn: pure functions each.

`by_controller` is the one of TuNAS and of Wang et al., see `controller.py`. `by_evolution` is a
control: regularised evolution of Real, Aggarwal, Huang, Le, "Regularized Evolution for Image
Classifier Architecture Search", arXiv 1802.01548, algorithm 1, with their sizes halved. The best of
a few is changed in one decision, and the oldest dies. Ours: a population a domain.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adapters.search import controller
from adapters.search.costs import RouteCosts
from adapters.search.space import Space

LIVING, ASKED = 50, 10  # of evolution


class Chooser(NamedTuple):
    """Who chooses a route for each of C domains, and learns from what it was worth.

    Attributes:
      init: (domains) -> state.
      draw: (state, key) -> routes [C, D] to try.
      learn: (state, routes [C, D], rewards [C], rate) -> state; a rate of 0 teaches nothing of
        routes.
      settle: (state, key) -> routes [C, D] to keep: the best known that cost no more than they may,
        and of those that all cost too much the cheapest.
    """

    init: Callable[[int], Any]
    draw: Callable[[Any, jax.Array], jax.Array]
    learn: Callable[[Any, jax.Array, jax.Array, jax.Array], Any]
    settle: Callable[[Any, jax.Array], jax.Array]


class Settling(NamedTuple):
    """How the route that is kept is chosen.

    Attributes:
      over, under: the most and the least that it should cost, over the target.
      drawn: how many it is chosen from.
      cheapest: a route [D] that is one of them in any case.
    """

    over: float = 1.02
    under: float = 0.0
    drawn: int = 64
    cheapest: np.ndarray | None = None


def by_controller(
    space: Space,
    costs: RouteCosts,
    target: float,
    start: np.ndarray | None = None,
    settling: Settling | None = None,
) -> Chooser:
    """Independent decisions, learned by REINFORCE; the most probable route is kept.

    Of many that are drawn and of that of the most probable options.

    Args:
      space, costs, target: of the routes.
      start: logits [D, options] to begin with; by default all options are as probable.
      settling: how the last route is chosen.
    """
    how = settling or Settling()

    def init(domains: int) -> controller.State:
        state = controller.init(space, domains)
        return state if start is None else state._replace(logits=state.logits + start[None])

    def learn(
        state: controller.State, routes: jax.Array, rewards: jax.Array, rate: jax.Array
    ) -> controller.State:
        return controller.update(space, state, jnp.arange(len(routes)), routes, rewards, rate)

    def settle(state: controller.State, key: jax.Array) -> jax.Array:
        keys = jax.random.split(key, how.drawn)
        drawn = jax.vmap(controller.sample, in_axes=(None, 0))(state, keys)
        candidates = [drawn, controller.most_probable(state)[None]]
        if how.cheapest is not None:
            candidates.append(jnp.broadcast_to(jnp.asarray(how.cheapest), candidates[-1].shape))
        every = jnp.concatenate(candidates)
        chances = controller.log_probability(space, state, every)
        return _best(jnp.moveaxis(every, 0, 1), chances.T, costs, target, how)

    return Chooser(init, controller.sample, learn, settle)


class Population(NamedTuple):
    """What lives of each of C domains.

    Attributes:
      routes: [C, LIVING, D] int32.
      rewards: [C, LIVING], minus infinity where nothing lives yet.
      born: [C], how many were, the dead among them.
    """

    routes: jax.Array
    rewards: jax.Array
    born: jax.Array


def by_evolution(space: Space, costs: RouteCosts, target: float) -> Chooser:
    """Regularised evolution; the best that lives is kept."""
    widths = jnp.asarray(space.widths, jnp.int32)

    def init(domains: int) -> Population:
        return Population(
            jnp.zeros((domains, LIVING, len(widths)), jnp.int32),
            jnp.full((domains, LIVING), -jnp.inf, jnp.float32),
            jnp.zeros(domains, jnp.int32),
        )

    def child(routes: jax.Array, rewards: jax.Array, born: jax.Array, key: jax.Array) -> jax.Array:
        fresh, few, place, other = jax.random.split(key, 4)
        random = jax.random.randint(fresh, widths.shape, 0, widths)
        asked = jax.random.choice(few, LIVING, (ASKED,), replace=False)
        parent = routes[asked[jnp.argmax(rewards[asked])]]
        where = jax.random.randint(place, (), 0, len(widths))
        step = jax.random.randint(other, (), 1, widths[where])
        changed = parent.at[where].set((parent[where] + step) % widths[where])
        return jnp.where(born < LIVING, random, changed)

    def draw(state: Population, key: jax.Array) -> jax.Array:
        return jax.vmap(child)(*state, jax.random.split(key, len(state.born)))

    def learn(
        state: Population, routes: jax.Array, rewards: jax.Array, rate: jax.Array
    ) -> Population:
        domains = jnp.arange(len(routes))
        oldest = state.born % LIVING
        moved = Population(
            state.routes.at[domains, oldest].set(routes),
            state.rewards.at[domains, oldest].set(rewards),
            state.born + 1,
        )
        return jax.tree.map(lambda new, old: jnp.where(rate > 0, new, old), moved, state)

    def settle(state: Population, key: jax.Array) -> jax.Array:
        del key
        return _best(state.routes, state.rewards, costs, target, Settling())

    return Chooser(init, draw, learn, settle)


def one_for_all(chooser: Chooser, domains: int) -> Chooser:
    """All domains take one route, which is worth what it is to them on average.

    The control of a controller a domain: their routes cannot differ.
    """

    def every(routes: jax.Array) -> jax.Array:
        return jnp.broadcast_to(routes, (domains, *routes.shape[1:]))

    return Chooser(
        lambda _: chooser.init(1),
        lambda state, key: every(chooser.draw(state, key)),
        lambda state, routes, rewards, rate: chooser.learn(
            state, routes[:1], jnp.mean(rewards, keepdims=True), rate
        ),
        lambda state, key: every(chooser.settle(state, key)),
    )


CHOOSERS: Mapping[str, Callable[[Space, RouteCosts, float], Chooser]] = {
    "controller": by_controller,
    "evolution": by_evolution,
}


def _best(
    routes: jax.Array, worth: jax.Array, costs: RouteCosts, target: float, how: Settling
) -> jax.Array:
    """Of routes [C, N, D] the worthiest that cost what they may, [C, D]; `worth` is [C, N]."""
    ratios = costs.of(routes) / target
    # Of those that cost too much the cheapest is the best, of those that leave too much the
    # dearest; the former lie below the latter, and both below all others.
    order = jnp.where(ratios <= how.over, worth, -1e6 * ratios)
    order = jnp.where(ratios < how.under, -1e5 * (1 - ratios), order)
    order = jnp.where(jnp.isneginf(worth), -jnp.inf, order)
    best = jnp.argmax(order, axis=1)
    return jnp.take_along_axis(routes, best[:, None, None], axis=1)[:, 0]
