"""One number a group: its examples' mean loss, of all predictions, and the patch's penalty."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from adapters.heads.contract import Head
from adapters.heads.together import Layout
from adapters.training.forward import Predictions
from adapters.training.recipe import Recipe

GroupLoss = Callable[
    [jax.Array, Predictions, Mapping[str, jax.Array], jax.Array],
    tuple[jax.Array, dict[str, jax.Array]],
]


def annealed(recipe: Recipe, weight: float, progress: jax.Array) -> Any:
    """What `weight` of a teacher is at `progress` of the run."""
    return weight * (1 - progress) if recipe.anneal_distillation else weight


def loss_of(head: Head, layout: Layout, recipe: Recipe) -> GroupLoss:
    """A function of (task, predictions, targets, progress) of a group -> (loss, figures), scalars.

    Progress is that of the run, in [0, 1); predictions and targets are {name: [E, ...]}. An
    auxiliary prediction has the same loss as the head's own, times its weight.

    Args:
      head: of the group's task.
      layout: which rows are whose.
      recipe: smoothing, and a teacher's share.
    """

    def group_loss(
        task: jax.Array,
        predictions: Predictions,
        targets: Mapping[str, jax.Array],
        progress: jax.Array,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        own = layout.own(task)
        teacher = annealed(recipe, recipe.distillation, progress)

        def losses(predicted: Mapping[str, jax.Array]) -> jax.Array:
            def one(predicted: Any, targets: Any) -> jax.Array:
                terms = head.loss(predicted, targets, own, recipe.smoothing, teacher)
                return sum(terms.values())

            return jax.vmap(one)(predicted, targets)

        loss = losses(predictions.own)
        for other in predictions.auxiliary.values():
            loss = loss + other.weight * losses(other.predictions)
        figures = jax.vmap(lambda p, t: head.figures(p, t, own))(predictions.own, targets)
        means = {name: jnp.mean(values) for name, values in figures.items()}
        return jnp.mean(loss) + predictions.penalties, means

    return group_loss
