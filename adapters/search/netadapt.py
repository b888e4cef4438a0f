"""NetAdapt: a network made smaller block by block, each time where that costs least accuracy.

Yang et al., "NetAdapt: Platform-Aware Neural Network Adaptation for Mobile Applications", ECCV
2018, arXiv 1804.03230, algorithm 1. A round has to bring the cost down to its own target. For every
block there is a proposal, which makes that block alone as much smaller as this takes; every one is
trained a little, and of those that cost what they may, the one that does best on held-out images is
the next round's network. Costs are a table's, to the unit.

Ours: what is kept of a block are its first channels, as `masks` has them, where the paper keeps
those of the largest weights; targets fall evenly; and all tasks take one route, which is worth what
it is to them on average.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adapters.search.blocks import BlockSpace, largest
from adapters.search.costs import RouteCosts
from adapters.search.supernet import halves, routes_of, with_routes
from adapters.training.state import Batch, Metrics, State, Trainer


class Plan(NamedTuple):
    """How a network is made smaller.

    Attributes:
      space, costs: of widths; see `proposals`.
      target: what the last round's network may cost.
      begin: the route [D] of the first.
      rounds: in which that is reached.
      trained: steps of training of a proposal.
    """

    space: BlockSpace
    costs: RouteCosts
    target: float
    begin: np.ndarray
    rounds: int
    trained: int

    @property
    def searching(self) -> int:
        """Steps until the last round is over."""
        return self.rounds * len(self.space.places) * self.trained

    def target_of(self, number: int) -> float:
        """What the network may cost after the round `number`, from 0 on."""
        whole = self.costs.exact(self.begin)
        return whole - (whole - self.target) * (number + 1) / self.rounds


class Adapting(NamedTuple):
    """Where NetAdapt is.

    Attributes:
      route: of the network that this round began with, [D].
      begun: all that training moves, as this round began.
      best: the mean quality of this round's best proposal so far.
      best_route, kept: its route, and what training had made of it.
      quality: of the present proposal so far, added up over its steps.
    """

    route: jax.Array
    begun: Any
    best: jax.Array
    best_route: jax.Array
    kept: Any
    quality: jax.Array


def proposals(
    space: BlockSpace, costs: RouteCosts, route: np.ndarray, target: float
) -> list[np.ndarray]:
    """For every block a route [D] that is `route` but for it, and costs `target` at most.

    Each keeps as much of its block as that allows; where even its smallest form costs too much, it
    has that one.
    """
    found = []
    for own in space.places.values():
        forms = []
        places = list(own.values())
        for options in np.ndindex(*(int(space.space.widths[place]) for place in places)):
            tried = route.copy()
            tried[places] = options
            forms.append(tried)
        prices = np.array([costs.exact(tried) for tried in forms])
        now = costs.exact(route)
        fits = np.flatnonzero((prices <= target) & (prices < now))
        chosen = fits[np.argmax(prices[fits])] if len(fits) else np.argmin(prices)
        found.append(forms[chosen])
    return found


def uniform(space: BlockSpace, costs: RouteCosts, target: float) -> np.ndarray:
    """The route [D] of one width for all blocks that comes nearest to `target`: a control.

    Each block keeps the same share of its inner channels, and of everything else all.
    """
    found = []
    for share in np.linspace(0.05, 1.0, 191):
        route = largest(space)
        for own in space.places.values():
            if "expansion" in own:
                options = space.space.decisions[own["expansion"]].options
                kept = np.array([int(option) for option in options])
                route[own["expansion"]] = np.argmin(np.abs(kept - share * kept[-1]))
        found.append(route)
    return found[int(np.argmin(np.abs(costs.exactly(np.stack(found)) / target - 1)))]


def netadapt(
    trainer: Trainer,
    qualities: Callable[[State, Any, Batch], jax.Array],
    plan: Plan,
) -> Trainer:
    """`trainer`, which makes its network smaller round by round, and trains the last one on.

    Each step is one of all tasks; a batch has two halves, of which the second says how good a
    proposal is, see `supernet`. What a round needs to be gone back to is part of
    `State.scheduling`, so that checkpoints hold it.

    Args:
      trainer: of a patch with `route` in it, classifiers, and trained shared weights.
      qualities: the accuracy of each group of a batch, [G], see `supernet.qualities_of`.
      plan: what to do.
    """
    total, blocks = len(trainer.heads.heads), len(plan.space.places)
    a_round = blocks * plan.trained
    told_of = jax.jit(_told)

    def taking(state: State, route: np.ndarray) -> State:
        return with_routes(state, jnp.broadcast_to(jnp.asarray(route), (total, len(route))))

    def init(key: jax.Array, weights: Any) -> State:
        state = taking(trainer.init(key, weights), plan.begin)
        return state._replace(
            scheduling=(
                state.scheduling,
                Adapting(
                    jnp.asarray(plan.begin),
                    _copied(_moved(state)),
                    jnp.asarray(-jnp.inf, jnp.float32),
                    jnp.asarray(plan.begin),
                    _copied(_moved(state)),
                    jnp.zeros((), jnp.float32),
                ),
            )
        )

    def step(
        state: State, weights: Any, batch: Batch, key: jax.Array, number: int | None = None
    ) -> tuple[State, Metrics]:
        done = int(state.step) if number is None else number
        weighing, adapting = state.scheduling
        state = state._replace(scheduling=weighing)
        turn, rest = divmod(done, a_round)
        block, inner = divmod(rest, plan.trained)
        searches = done < plan.searching
        if searches and inner == 0:
            now, target = np.asarray(adapting.route), plan.target_of(turn)
            proposed = proposals(plan.space, plan.costs, now, target)[block]
            state = taking(_back(state, adapting.begun), proposed)
            adapting = adapting._replace(quality=jnp.zeros((), jnp.float32))
        elif done == plan.searching:
            state = taking(_back(state, adapting.begun), np.asarray(adapting.route))
        train, held = halves(batch)
        moved, metrics = trainer.step(state, weights, train, key, done)
        accuracies = qualities(moved, weights, held)
        route = jnp.asarray(routes_of(moved)[0])
        if searches:
            ends = inner == plan.trained - 1
            adapting = told_of(
                *(adapting, _moved(moved), route, jnp.mean(accuracies)),
                *(ends and _may_win(plan, turn, adapting, route), ends and block == blocks - 1),
            )
        cost = jnp.full(len(batch.tasks), plan.costs.of(route) / plan.target)
        figures = {**metrics.figures, "quality": accuracies, "cost": cost}
        return moved._replace(scheduling=(moved.scheduling, adapting)), Metrics(
            metrics.loss, figures
        )

    return trainer._replace(init=init, step=step)


def _may_win(plan: Plan, turn: int, adapting: Adapting, route: jax.Array) -> bool:
    """Whether a proposal costs what this round's may, or the least of them where none does."""
    target = plan.target_of(turn)
    made = proposals(plan.space, plan.costs, np.asarray(adapting.route), target)
    least = min(plan.costs.exact(each) for each in made)
    return bool(plan.costs.exact(np.asarray(route)) <= max(target, least))


def _told(
    adapting: Adapting,
    moved: Any,
    route: jax.Array,
    quality: jax.Array,
    wins: jax.Array,
    closes: jax.Array,
) -> Adapting:
    """After a step of a proposal; `wins`: its last, if best; `closes`: and the round's last."""
    quality = adapting.quality + quality
    better = wins & (quality > adapting.best)

    def either(first: jax.Array, new: Any, old: Any) -> Any:
        return jax.tree.map(lambda a, b: jnp.where(first, a, b), new, old)

    best_route, kept = either(better, (route, moved), (adapting.best_route, adapting.kept))
    best = jnp.where(better, quality, adapting.best)
    return Adapting(
        either(closes, best_route, adapting.route),
        either(closes, kept, adapting.begun),
        jnp.where(closes, -jnp.inf, best),
        best_route,
        kept,
        quality,
    )


def _moved(state: State) -> Any:
    """What training moves of a network."""
    return state.patches, state.heads, state.shared, state.optimisers


@jax.jit
def _copied(tree: Any) -> Any:
    """Arrays of its own: a step takes those of its state."""
    return jax.tree.map(jnp.copy, tree)


def _back(state: State, parts: Any) -> State:
    patches, heads, shared, optimisers = _copied(parts)
    return state._replace(patches=patches, heads=heads, shared=shared, optimisers=optimisers)
