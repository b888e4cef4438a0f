"""Training of a super-network: every step tries a route a domain, and controllers learn from it.

Bender et al., "Can Weight Sharing Outperform Random Architecture Search? An Investigation With
TuNAS", arXiv 2008.06120, and its code; one controller a domain after Wang et al., "Multi-path
Neural Networks for On-device Multi-domain Visual Classification" (WACV 2021), whose recipe was not
to be had: the multi-domain form is our reconstruction.

A batch's examples are in two halves: the first train the weights through the routes that the
controllers drew, the second, images that never train them, say how good those routes are. In the
first quarter of the search controllers stand still, and a domain takes the largest network with a
chance that falls from 1 to 0; then their rate rises tenfold to the end of the search. From there on
every domain keeps the most probable route, of many drawn, that costs no more than it may, and the
same steps train the weights through these routes alone.

Ours: kernels are not averaged in the warm-up, the largest alone is taken; the rest of the run goes
on from the shared weights instead of beginning anew.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adapters.backbones.builder import Backbone
from adapters.errors import ModelPatchError
from adapters.heads.together import TaskHeads
from adapters.patches.contract import Patch, PatchParams, Weights
from adapters.patches.replacement import with_leaves
from adapters.search.chooser import Chooser
from adapters.search.costs import RouteCosts
from adapters.search.rewards import Reward
from adapters.search.route import ROUTE
from adapters.training.forward import mixed_forward
from adapters.training.losses import loss_of
from adapters.training.recipe import Recipe
from adapters.training.state import Batch, Metrics, State, Trainer
from adapters.training.tables import membership

RISE = 10.0  # of the controllers' rate, to the end of the search
_ROUTES, _LARGEST, _LAST = 1, 2, 3  # of a step's key for controllers
_CHOOSING = 3  # of the run's key; the loop and the run use 0 to 2


class SearchError(ModelPatchError):
    """Tasks or settings that no search can be made of."""


class Searching(NamedTuple):
    """What a search goes by.

    Attributes:
      costs: of every route.
      target: what a route may cost, in the same unit.
      reward: of a quality and of its cost over the target.
      steps: of the whole run.
      share: of these steps that search; the rest trains the routes that were found.
      rate: of the controllers, when they begin to learn.
      chooser: who chooses routes.
      warm_up: share of the search in which nothing is learned of routes, and a domain takes
        `largest` with a chance that falls from 1 to 0.
      largest: the route of the largest network, [D]; None: the warm-up draws as ever.
      pressure: what is taken from the reward of every one of a step's routes [T, D].
    """

    costs: RouteCosts
    target: float
    reward: Reward
    steps: int
    share: float
    rate: float
    chooser: Chooser
    warm_up: float = 0.25
    largest: np.ndarray | None = None
    pressure: Callable[[jax.Array], jax.Array | float] = lambda routes: 0.0


def supernet(
    trainer: Trainer,
    network: Backbone,
    patch: Patch,
    recipe: Recipe,
    pixels: tuple[tuple[float, ...], tuple[float, ...]],
    search: Searching,
) -> Trainer:
    """`trainer`, with controllers that choose the routes of its patch.

    Each step is one of all tasks, one group of images each; a batch has two halves, see above. The
    controllers' state is part of `State.scheduling`, so that checkpoints hold it.

    Args:
      trainer: of `patch`, classifiers, and trained shared weights.
      network, recipe, pixels: as it has them.
      patch: a chain with `route` in it.
      search: what to go by.

    Raises SearchError for tasks that are not all classified.
    """
    heads, total = trainer.heads, len(trainer.heads.heads)
    qualities = qualities_of(network, patch, heads, recipe, pixels)
    choose = jax.jit(_chooser(search, total))
    learn = jax.jit(_learner(search, total))

    def init(key: jax.Array, weights: Weights) -> State:
        state = trainer.init(key, weights)
        return state._replace(scheduling=(state.scheduling, search.chooser.init(total)))

    def step(
        state: State, weights: Weights, batch: Batch, key: jax.Array, number: int | None = None
    ) -> tuple[State, Metrics]:
        done = int(state.step) if number is None else number
        weighing, chooser = state.scheduling
        own = jax.random.fold_in(key, _CHOOSING)
        routes = choose(chooser, jax.random.fold_in(own, done), own, np.float32(done))
        routed = with_routes(state._replace(scheduling=weighing), routes)
        train, held = halves(batch)
        moved, metrics = trainer.step(routed, weights, train, key, done)
        accuracies = qualities(moved, weights, held)
        taken = _taken(moved)  # `routes` were donated to the step
        chooser, told = learn(chooser, batch.tasks, taken, accuracies, np.float32(done))
        figures = {**metrics.figures, **told}
        return moved._replace(scheduling=(moved.scheduling, chooser)), Metrics(
            metrics.loss, figures
        )

    return trainer._replace(init=init, step=step)


def with_routes(state: State, routes: jax.Array) -> State:
    """`state`, whose tasks take `routes` [T, D]."""
    fixed = jax.tree.map_with_path(
        lambda path, leaf: routes if _is_route(path) else leaf, state.patches.fixed
    )
    return state._replace(patches=state.patches._replace(fixed=fixed))


def routes_of(state: State) -> np.ndarray:
    """The routes that the tasks of `state` take, [T, D]."""
    return np.asarray(_taken(state))


def _taken(state: State) -> jax.Array:
    leaves = jax.tree.leaves_with_path(state.patches.fixed)
    (routes,) = (leaf for path, leaf in leaves if _is_route(path))
    return routes


def _is_route(path: tuple[Any, ...]) -> bool:
    return getattr(path[-1], "key", None) == ROUTE


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """The examples that train, and those that are held out."""

    def half(arrays: Mapping[str, Any], first: bool) -> dict[str, Any]:
        count = next(iter(arrays.values())).shape[1] // 2
        return {
            name: values[:, :count] if first else values[:, count:]
            for name, values in arrays.items()
        }

    first, second = (
        Batch(batch.tasks, half(batch.inputs, part), half(batch.targets, part))
        for part in (True, False)
    )
    return first, second


def _check(heads: TaskHeads) -> None:
    kinds = {head.kind for head in heads.heads}
    if kinds != {"classification"}:
        raise SearchError(
            f"routes are searched by accuracy, and the heads are of the kinds "
            f"{', '.join(sorted(kinds))}: give tasks with one label an image."
        )


def _chooser(search: Searching, total: int) -> Callable[..., jax.Array]:
    """(controllers, a step's key, the run's, steps done) -> routes [T, D]."""

    def choose(chooser: Any, key: jax.Array, run_key: jax.Array, done: jax.Array) -> jax.Array:
        progress = done / (search.share * search.steps)
        drawn = search.chooser.draw(chooser, jax.random.fold_in(key, _ROUTES))
        if search.largest is not None and search.warm_up:
            chance = jnp.clip(1 - progress / search.warm_up, 0, 1)
            takes_all = jax.random.uniform(jax.random.fold_in(key, _LARGEST), (total, 1)) < chance
            drawn = jnp.where(takes_all, jnp.asarray(search.largest)[None], drawn)
        found = search.chooser.settle(chooser, jax.random.fold_in(run_key, _LAST))
        return jnp.where(progress >= 1, found, drawn)

    return choose


def _learner(search: Searching, total: int) -> Callable[..., tuple[Any, dict[str, jax.Array]]]:
    """(controllers, tasks [G], routes [T, D], accuracies [G], steps done) -> (they, figures)."""

    def learn(
        chooser: Any,
        tasks: jax.Array,
        routes: jax.Array,
        accuracies: jax.Array,
        done: jax.Array,
    ) -> tuple[Any, dict[str, jax.Array]]:
        progress = done / (search.share * search.steps)
        quality = membership(tasks, total) @ accuracies  # one group a task
        ratios = search.costs.of(routes) / search.target
        rewards = search.reward(quality, ratios) - search.pressure(routes)
        warm_up = search.warm_up
        risen = search.rate * RISE ** ((progress - warm_up) / (1 - warm_up))
        rate = jnp.where(progress < warm_up, 0, risen)
        moved = search.chooser.learn(chooser, routes, rewards, rate)
        searches = progress < 1
        kept = jax.tree.map(lambda new, old: jnp.where(searches, new, old), moved, chooser)
        told = {"quality": accuracies, "cost": ratios[tasks], "reward": rewards[tasks]}
        return kept, told

    return learn


def qualities_of(
    network: Backbone,
    patch: Patch,
    heads: TaskHeads,
    recipe: Recipe,
    pixels: tuple[tuple[float, ...], tuple[float, ...]],
) -> Callable[[State, Weights, Batch], jax.Array]:
    """(state, weights, batch) -> the accuracy of each group of a batch, [G]; compiled.

    Raises SearchError for tasks that are not all classified.
    """
    _check(heads)
    kind = heads.kinds[0]
    layout, head = heads.layout(kind), heads.of_kind(kind)
    forward = mixed_forward(network, patch, layout, recipe.norm, taps=head.taps)
    group_loss = loss_of(head, layout, recipe)
    mean, std = (jnp.asarray(values, jnp.float32).reshape(1, 1, 1, 1, -1) for values in pixels)

    def qualities(state: State, weights: Weights, batch: Batch) -> jax.Array:
        image = (jnp.asarray(batch.inputs["image"], jnp.float32) - mean) / std
        said = forward(
            with_leaves(weights, state.shared),
            PatchParams(*state.patches),
            {"": state.heads[kind][""]},
            jnp.asarray(batch.tasks),
            {**batch.inputs, "image": image},
            jax.random.split(jax.random.key(0), image.shape[:2]),  # a route draws nothing
            jnp.float32(0),
        )
        _, figures = jax.vmap(group_loss, in_axes=(0, 0, 0, None))(
            jnp.asarray(batch.tasks),
            said._replace(moments={}),
            {name: jnp.asarray(values) for name, values in batch.targets.items()},
            jnp.float32(0),
        )
        return figures["accuracy"]

    return jax.jit(qualities)
