"""From tables to what a patch file holds."""

from typing import Any

import jax
import numpy as np

from adapters.heads.wide import TaskHeads
from adapters.patches.contract import LeafEdits, Patch, PatchParams
from adapters.training.step import State


def task_params(state: State, task: int) -> PatchParams:
    """One task's row of the patch tables."""
    return jax.tree.map(lambda table: table[task], state.patches)


def task_edits(patch: Patch, params: PatchParams) -> LeafEdits:
    """The hard edits of one task, in numpy."""
    return jax.tree.map(np.asarray, patch.pack(params))


def task_head(state: State, heads: TaskHeads, task: int) -> dict[str, np.ndarray[Any, Any]]:
    """One task's head, as a file names its parts: `w` [features, outputs] and `b` [outputs].

    Those of an auxiliary prediction are called `NAME/w` and `NAME/b`.
    """
    kind = heads.heads[task].kind
    rows = heads.layout(kind).rows(task)
    return {
        f"{name}/{leaf}".removeprefix("/"): np.ascontiguousarray(np.asarray(values[rows]).T)
        for name, head in state.heads[kind].items()
        for leaf, values in head.items()
    }
