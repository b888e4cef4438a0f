"""Weights learned as each task's uncertainty."""

from typing import Any

import jax
import jax.numpy as jnp

from adapters.scheduling.averages import shared_out
from adapters.scheduling.contract import Signals, Tasks, Weighting

LIMIT = 4.0  # |s| stays below: a task learned by heart, of loss 0, would otherwise take all


def uncertainty(rate: float = 0.01) -> Weighting:
    """Weights exp(-s) with a learned s a task, which minimises exp(-s) loss + s / 2.

    Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene
    Geometry and Semantics", arXiv 1705.07115, equation 10 with s = log sigma^2: where it settles,
    weights are in inverse proportion to losses. Ours: s moves by gradient descent at `rate`, stays
    within 4 of 0, and weights are scaled to their number, so that the learning rate keeps its
    meaning.
    """

    def init(tasks: Tasks) -> Any:
        return jnp.zeros(len(tasks.sizes), jnp.float32)

    def weights(state: Any, progress: jax.Array) -> jax.Array:
        del progress
        return shared_out(jnp.exp(-state))

    def update(state: Any, signals: Signals) -> Any:
        slope = 0.5 - jnp.exp(-state) * signals.losses
        moved = jnp.clip(state - rate * slope, -LIMIT, LIMIT)
        return jnp.where(signals.present, moved, state)

    return Weighting(init, weights, update)
