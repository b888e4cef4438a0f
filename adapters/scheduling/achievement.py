"""Weights by how far each task is from what it reaches alone."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.scheduling.averages import followed, shared_out
from adapters.scheduling.contract import (
    ACCURACIES,
    REFERENCES,
    SchedulingError,
    Signals,
    Tasks,
    Weighting,
)
from adapters.scheduling.dynamic_task_prioritisation import chance

LEAST = 0.02  # of the distance, so that a task beyond its reference still counts


class _State(NamedTuple):
    """Of each task [T]: the averaged accuracy, and that of a run of its own."""

    accuracy: jax.Array
    reference: jax.Array


def achievement(margin: float = 1.05, gamma: float = 2.0) -> Weighting:
    """Weights (1 - accuracy / (margin reference))^gamma: the ratio to a reference.

    After Yun and Cho, "Achievement-based Training Progress Balancing for Multi-Task Learning" (ICCV
    2023). Reconstruction in: which accuracy is averaged (that of the training images of each step),
    and a distance of 0.02 at least. References are to be trusted: one that was measured after too
    few steps makes a rule that ruins its task.

    Raises SchedulingError for a margin below 1, and in `init` where no references are known.
    """
    if margin < 1:
        raise SchedulingError(f"achievement has margin={margin}: it must be 1 or more.")

    def init(tasks: Tasks) -> Any:
        if tasks.references is None:
            raise SchedulingError(
                "achievement weighs tasks by the accuracy that each reaches in a run of its own: "
                "give those, or take balanced, which needs none.",
                settings=["references"],
            )
        return _State(chance(tasks), jnp.asarray(tasks.references, jnp.float32))

    def weights(state: Any, progress: jax.Array) -> jax.Array:
        del progress
        distance = jnp.maximum(1 - state.accuracy / (margin * state.reference), LEAST)
        return shared_out(distance**gamma)

    def update(state: Any, signals: Signals) -> Any:
        return state._replace(
            accuracy=followed(state.accuracy, signals.accuracies, signals.present)
        )

    return Weighting(init, weights, update, frozenset({ACCURACIES, REFERENCES}))
