"""From how often tasks are wanted to which tasks a step trains."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from adapters.scheduling.contract import (
    NORMS,
    Sampler,
    Sampling,
    SchedulingError,
    Signals,
    Tasks,
    Weighting,
)
from adapters.scheduling.draws import drawn

State = Mapping[str, Any]


def fixed(sampling: Sampling, tasks: Tasks) -> Sampler:
    """Draws by shares that never change. Raises SchedulingError as `sampling` does."""
    shares = sampling(tasks)

    def following(state: State, seed: int, step: int, groups: int) -> tuple[np.ndarray, State]:
        return drawn(shares, tasks.kinds, seed, step, groups), state

    return Sampler(dict, following, lambda state, figures: state)


def prioritised(weighting: Weighting, tasks: Tasks, steps: int) -> Sampler:
    """Draws each task as often as `weighting` would have its loss count, in a run of `steps`.

    Where every task owns all that it trains, Adam divides a weight out again, and how often a task
    is drawn is what is left to schedule. A step's figures count when they reach the host, a fixed
    number of steps late.

    Raises SchedulingError for a weighting by gradients, and as its `init` does.
    """
    if NORMS in weighting.reads:
        raise SchedulingError("tasks cannot be drawn by their gradients, only weighed.")
    begun = weighting.init(tasks)
    structure = jax.tree.structure(begun)

    def state_of(leaves: Any) -> Any:
        return jax.tree.unflatten(structure, [np.asarray(leaf, np.float32) for leaf in leaves])

    def kept(state: Any) -> State:
        return {"priorities": [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(state)]}

    # Compiled, since each is many small operations and the host waits for them.
    weights, update = jax.jit(weighting.weights), jax.jit(weighting.update)

    def following(state: State, seed: int, step: int, groups: int) -> tuple[np.ndarray, State]:
        wanted = weights(state_of(state["priorities"]), np.float32(step / steps))
        shares = np.asarray(wanted, np.float64)
        return drawn(shares / shares.sum(), tasks.kinds, seed, step, groups), state

    def feedback(state: State, figures: Mapping[int, Mapping[str, float]]) -> State:
        known = {name: np.zeros(len(tasks.sizes), np.float32) for name in ("loss", "accuracy")}
        present = np.zeros(len(tasks.sizes), bool)
        for task, values in figures.items():
            present[task] = True
            for name, all_tasks in known.items():
                all_tasks[task] = values.get(name, 0)
        nothing = np.zeros(len(tasks.sizes), np.float32)
        signals = Signals(present, known["loss"], known["accuracy"], nothing)  # type: ignore[arg-type]
        return kept(update(state_of(state["priorities"]), signals))

    return Sampler(lambda: kept(begun), following, feedback)
