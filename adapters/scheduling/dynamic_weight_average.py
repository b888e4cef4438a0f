"""Weights that favour tasks whose losses fall slowly."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.scheduling.averages import shared_out
from adapters.scheduling.contract import SchedulingError, Signals, Tasks, Weighting


class _State(NamedTuple):
    """Of each task [T]: losses summed and counted in this window, means of the two before it."""

    total: jax.Array
    counted: jax.Array
    last: jax.Array
    before: jax.Array


def dynamic_weight_average(temperature: float = 2.0, window: int = 50) -> Weighting:
    """Weights softmax(r / temperature), r the ratio of a task's last two mean losses.

    Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", arXiv 1803.10704,
    equation 7. There, means are of epochs; tasks of different sizes have no epoch in common, so
    here they are of `window` steps of the task itself. Until there are two, r is 1.

    Raises SchedulingError for a temperature that is not above 0, or a window below 1.
    """
    if not temperature > 0 or window < 1:
        raise SchedulingError(
            f"dynamic_weight_average has temperature={temperature}, window={window}: the first "
            "must be above 0, the second 1 or more."
        )

    def init(tasks: Tasks) -> Any:
        none, unknown = (jnp.full(len(tasks.sizes), value, jnp.float32) for value in (0, 1))
        return _State(none, none, unknown, unknown)

    def weights(state: Any, progress: jax.Array) -> jax.Array:
        del progress
        return shared_out(jax.nn.softmax(state.last / state.before / temperature))

    def update(state: Any, signals: Signals) -> Any:
        total = state.total + signals.losses
        count = state.counted + signals.present.astype(jnp.float32)
        full = count >= window
        mean = total / jnp.maximum(count, 1)
        first = (state.last == 1) & (state.before == 1)
        return _State(
            jnp.where(full, 0, total),
            jnp.where(full, 0, count),
            jnp.where(full, mean, state.last),
            jnp.where(full, jnp.where(first, mean, state.last), state.before),
        )

    return Weighting(init, weights, update)
