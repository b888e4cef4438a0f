"""Adaptive balanced domain prioritisation: difficult domains count more, and none starves."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.scheduling.averages import followed, shared_out
from adapters.scheduling.contract import ACCURACIES, SchedulingError, Signals, Tasks, Weighting
from adapters.scheduling.dynamic_task_prioritisation import chance

LEAST = 0.02  # of the difficulty: what a domain learned by heart has left


class _State(NamedTuple):
    """Of each domain [T]: the averaged accuracy, and what counts as learned."""

    accuracy: jax.Array
    reference: jax.Array


def balanced(
    gamma: float = 1.0, floor: float = 0.3, cap: float = 3.0, start: float = 0.25
) -> Weighting:
    """Weights by difficulty, mixed with equal ones, bounded, and pushed only as the run goes on.

    Wang et al., "Multi-path Neural Networks for On-device Multi-domain Visual Classification" (WACV
    2021, arXiv 2010.04904) name adaptive balanced domain prioritisation as what drives their joint
    optimisation. Neither its formula nor its constants were to be had: this is OUR RECONSTRUCTION
    from what the name says.

    Priorities come from difficulty, d = (1 - accuracy / reference)^gamma, at least 0.02^gamma, with
    averages of the training accuracy that begin at chance, and references of 1 where none are
    known: domains that are hard because their labels are noisy then do not take the budget for
    ever. They are balanced: w = floor + (1 - floor) T d / sum(d), so that every domain keeps
    `floor` of an equal share; where one would have more than `cap` shares, all are drawn to 1
    alike. The push is annealed: weights are 1 until `start` of the run, and from there move to w in
    a line until its end, since favouring what is difficult while all is still difficult costs most.

    Constants: gamma 1, the plainest; floor 0.3 and cap 3 keep a domain between a third and three
    times its equal share; start 0.25 is the share of a run that its authors' search gives to its
    own warm-up (TuNAS, arXiv 2008.06120).

    Raises SchedulingError for a constant out of its range.
    """
    if gamma < 0 or not 0 <= floor <= 1 or not cap > 1 or not 0 <= start < 1:
        raise SchedulingError(
            f"balanced has gamma={gamma}, floor={floor}, cap={cap}, start={start}: gamma must be 0 "
            "or more, floor from 0 to 1, cap above 1, start from 0 to below 1."
        )

    def init(tasks: Tasks) -> Any:
        references = tasks.references or (1.0,) * len(tasks.sizes)
        return _State(chance(tasks), jnp.asarray(references, jnp.float32))

    def weights(state: Any, progress: jax.Array) -> jax.Array:
        difficulty = jnp.maximum(1 - state.accuracy / state.reference, LEAST) ** gamma
        wanted = floor + (1 - floor) * shared_out(difficulty)
        push = jnp.clip((progress - start) / (1 - start), 0, 1)
        within = (cap - 1) / jnp.maximum(jnp.max(wanted) - 1, cap - 1)
        return 1 + push * within * (wanted - 1)

    def update(state: Any, signals: Signals) -> Any:
        return state._replace(
            accuracy=followed(state.accuracy, signals.accuracies, signals.present)
        )

    return Weighting(init, weights, update, frozenset({ACCURACIES}))
