"""Weights that make tasks learn at the same pace, by the lengths of their gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.scheduling.averages import shared_out
from adapters.scheduling.contract import NORMS, Signals, Tasks, Weighting

ROUNDING = 1e-4
LEAST = 0.05  # of a weight, before weights are scaled to their number


class _State(NamedTuple):
    """Of each task [T]: its weight, and its first loss, 0 until it has one."""

    weights: jax.Array
    first: jax.Array


def gradnorm(alpha: float = 1.5, rate: float = 0.025) -> Weighting:
    """Weights moved until each gradient at the last shared layer is as long as its pace asks.

    Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask
    Networks", arXiv 1711.02257, equations 1 and 2: the wanted length of a task's weighted gradient
    is the mean one times its loss' share of its first loss, over the mean share, to the power
    `alpha`; weights go down the slope of the absolute differences and are scaled to their number.
    It weighs losses, and so is a weighting here, though it looks at gradients. Ours: slopes are
    divided by their mean, so that `rate` means the same for every network, and only tasks of the
    step count in means.
    """

    def init(tasks: Tasks) -> Any:
        total = len(tasks.sizes)
        return _State(jnp.ones(total, jnp.float32), jnp.zeros(total, jnp.float32))

    def weights(state: Any, progress: jax.Array) -> jax.Array:
        del progress
        return state.weights

    def update(state: Any, signals: Signals) -> Any:
        present = signals.present

        def mean(values: jax.Array) -> jax.Array:
            return jnp.mean(values, where=present)

        first = jnp.where(present & (state.first == 0), signals.losses, state.first)
        share = signals.losses / jnp.maximum(first, 1e-6)
        pace = share / jnp.maximum(mean(share), 1e-6)
        wanted = mean(signals.norms) * pace**alpha
        difference = signals.norms - wanted
        differs = jnp.abs(difference) > ROUNDING * wanted  # a sign of rounding would move all
        slope = jnp.where(differs, jnp.sign(difference), 0) * signals.norms / state.weights
        slope = slope / jnp.maximum(mean(jnp.abs(slope)), 1e-12)
        moved = jnp.maximum(state.weights - rate * slope, LEAST)
        return _State(shared_out(jnp.where(present, moved, state.weights)), first)

    return Weighting(init, weights, update, frozenset({NORMS}))
