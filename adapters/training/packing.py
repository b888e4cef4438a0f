"""From tables to what a patch file holds."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adapters.heads.together import TaskHeads
from adapters.patches.contract import LeafEdits, Patch, PatchParams
from adapters.training.state import State


def task_params(state: State, task: int) -> PatchParams:
    """One task's row of the patch tables.

    Taken on the host: on a device, each leaf's row is a program that has to be started.
    """
    tables = jax.device_get(state.patches)
    return jax.tree.map(lambda table: jnp.asarray(table[task]), tables)


def task_edits(patch: Patch, params: PatchParams) -> LeafEdits:
    """The hard edits of one task, in numpy."""
    return jax.tree.map(np.asarray, patch.pack(params))


def task_head(state: State, heads: TaskHeads, task: int) -> dict[str, np.ndarray[Any, Any]]:
    """One task's head, as a file names its parts: `w` [features, outputs] and `b` [outputs], say.

    Those of an auxiliary prediction are called `NAME/w` and `NAME/b`.
    """
    kind = heads.heads[task].kind
    layout = heads.layout(kind)
    return {
        f"{name}/{leaf}".removeprefix("/"): values
        for name, table in state.heads[kind].items()
        for leaf, values in layout.weights(table, task).items()
    }
