"""Weights that favour whatever is difficult now."""

from typing import Any

import jax
import jax.numpy as jnp

from adapters.scheduling.averages import followed, shared_out
from adapters.scheduling.contract import ACCURACIES, Signals, Tasks, Weighting

CLIPPED = 0.01  # an accuracy of 0 or 1 would weigh infinitely much, or nothing


def dynamic_task_prioritisation(gamma: float = 1.0) -> Weighting:
    """Weights -(1 - accuracy)^gamma log accuracy, with averages of the training accuracy.

    Guo et al., "Dynamic Task Prioritization for Multitask Learning" (ECCV 2018), equation 3. Ours:
    averages begin at chance, stay within 0.01 of 0 and 1, and weights are scaled to their number. A
    task that is hard because its labels are noisy is favoured for ever; `balanced` bounds that.
    """

    def init(tasks: Tasks) -> Any:
        return chance(tasks)

    def weights(state: Any, progress: jax.Array) -> jax.Array:
        del progress
        accuracy = jnp.clip(state, CLIPPED, 1 - CLIPPED)
        return shared_out(-((1 - accuracy) ** gamma) * jnp.log(accuracy))

    def update(state: Any, signals: Signals) -> Any:
        return followed(state, signals.accuracies, signals.present)

    return Weighting(init, weights, update, frozenset({ACCURACIES}))


def chance(tasks: Tasks) -> jax.Array:
    """The accuracy of guessing, [T]."""
    return 1 / jnp.asarray(tasks.outputs, jnp.float32)
