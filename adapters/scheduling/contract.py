"""The contract: which task trains next, how much it counts, how gradients of shared weights add up.

Three kinds of rules, one for each question. A `Sampler` is asked on the host before a step. A
`Weighting` and a `Combine` are part of the compiled step; the state of a weighting is one of the
arrays that are checkpointed. Weights and combining act on what tasks share: of what a task owns,
Adam divides a weight out again, and no other task's gradient reaches it.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from adapters.errors import ModelPatchError


class SchedulingError(ModelPatchError):
    """A rule that cannot be had, or that these tasks give nothing to go by."""


class Tasks(NamedTuple):
    """What rules know of the T tasks of a run before it begins.

    Attributes:
      sizes: training images of each.
      outputs: of each one's head: classes of a classifier.
      kinds: of the heads and their images; a step trains tasks of one kind.
      references: the accuracy in (0, 1] that each task reaches in a run of its own, if known.
      images: how many the whole run trains on, repeats counted.
    """

    sizes: tuple[int, ...]
    outputs: tuple[int, ...]
    kinds: tuple[str, ...]
    references: tuple[float, ...] | None = None
    images: int = 0


class Signals(NamedTuple):
    """What a step tells a rule of each task, on the images that it trained on.

    Attributes:
      present: [T] bool, whether the step trained the task; all else of absent ones is 0.
      losses: [T] float32, unweighted.
      accuracies: [T] float32.
      norms: [T] float32, length of the weighted loss' gradient at the last shared layer; 0 unless
        the rule reads it.
    """

    present: jax.Array
    losses: jax.Array
    accuracies: jax.Array
    norms: jax.Array


ACCURACIES, NORMS, REFERENCES = "accuracies", "norms", "references"


class Weighting(NamedTuple):
    """How much each task's loss counts.

    Attributes:
      init: (tasks) -> state, a pytree of float32 arrays; raises SchedulingError.
      weights: (state, progress of the run in [0, 1)) -> [T] float32, positive, of sum T.
      update: (state, Signals) -> state.
      reads: of `ACCURACIES`, `NORMS` and `REFERENCES`, what it cannot do without.
      adaptive: whether its weights ever differ from 1.
    """

    init: Callable[[Tasks], Any]
    weights: Callable[[Any, jax.Array], jax.Array]
    update: Callable[[Any, Signals], Any]
    reads: frozenset[str] = frozenset()
    adaptive: bool = True


Combine = Callable[[jax.Array, jax.Array], jax.Array]
"""(products of the tasks' weighted gradients [T, T], key) -> coefficients [T] of their sum.

The gradient that shared weights get is the sum of coefficient times gradient over tasks, so that
plain adding is a 1 for each. Rows of tasks that a step has not trained are 0.
"""

Sampling = Callable[[Tasks], np.ndarray]
"""How often each task is drawn: (tasks) -> [T] float64, positive, of sum 1."""


class Sampler(NamedTuple):
    """Which tasks the next step trains.

    Attributes:
      init: () -> state, a JSON-able mapping.
      next: (state, seed, step, groups) -> (a task id per group [groups] int32, state); a function
        of its arguments alone, and repeats are allowed.
      feedback: (state, {task id: {"loss": ..., "accuracy": ...}}) -> state; of steps past, in
        their order.
    """

    init: Callable[[], Mapping[str, Any]]
    next: Callable[[Mapping[str, Any], int, int, int], tuple[np.ndarray, Mapping[str, Any]]]
    feedback: Callable[[Mapping[str, Any], Mapping[int, Mapping[str, float]]], Mapping[str, Any]]


class Scheduling(NamedTuple):
    """How the tasks of a step are weighed and combined.

    Attributes:
      weighting: of losses.
      combine: of the gradients of shared weights; None: they are added up.
      tasks: what the weighting's state begins from.
    """

    weighting: Weighting
    combine: Combine | None
    tasks: Tasks
