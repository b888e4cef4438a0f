"""What a training step takes and gives."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from adapters.heads.together import Table, TaskHeads
from adapters.patches.contract import PatchParams, Weights
from adapters.training.matching import Adaptors

Arrays = Mapping[str, jax.Array | np.ndarray]


class Batch(NamedTuple):
    """One step's examples, G groups of E, of tasks with heads of one kind and images of one size.

    Where several processes train together, inputs and targets are of a process's `own_groups`
    (`placement`), and `tasks` are those of all.

    Attributes:
      tasks: [G] int32, the task of each group.
      inputs: {name: [G, E, ...]}: `image` [G, E, H, W, 3] uint8, or what a prefix has made of it
        [G, E, values] float32, and what else patches need.
      targets: {name: [G, E, ...]}, as `TaskHeads.placed` gives them.
    """

    tasks: jax.Array | np.ndarray
    inputs: Arrays
    targets: Arrays


class State(NamedTuple):
    """All that training moves.

    Attributes:
      step: int32 scalar, steps done.
      patches: PatchParams of every task, leaves [T, ...].
      heads: {kind: {"": its table, NAME: that of an auxiliary prediction of the patch}}.
      shared: the shared leaves that are trained too; usually none.
      optimisers: state of the patches' optimiser, of each kind's heads', of the shared leaves'.
      scheduling: state of the rule that weighs tasks.
      matching: each task's adaptor to its teacher's map, and their optimiser's state; empty where
        no map is matched.
    """

    step: jax.Array
    patches: PatchParams
    heads: dict[str, dict[str, Table]]
    shared: Weights
    optimisers: tuple[Any, dict[str, Any], Any]
    scheduling: Any
    matching: tuple[Adaptors, Any]


class Metrics(NamedTuple):
    """Per group [G]: mean loss (all of its terms), and what is told beside it, by name.

    That are the figures of the head, the task's `weight` where a rule moves it, and, where there
    are several tasks, its `share` of the step's groups.
    """

    loss: jax.Array
    figures: dict[str, jax.Array]


class Trainer(NamedTuple):
    """The functions of a run, compiled.

    Attributes:
      init: (key, weights) -> State.
      step: (state, weights, batch, key, number) -> (state, Metrics); `state` is donated. `number`
        counts the steps done; without it the state is asked, and waited for.
      heads: of the tasks, in order.
      mesh: of the devices that share a batch's groups.
    """

    init: Callable[[jax.Array, Weights], State]
    step: Callable[..., tuple[State, Metrics]]
    heads: TaskHeads
    mesh: Mesh
