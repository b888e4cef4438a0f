"""From tables to what a patch file holds."""

from typing import Any

import jax
import numpy as np

from adapters.heads.classification import HeadLayout
from adapters.patches.contract import LeafEdits, Patch, PatchParams
from adapters.training.step import State


def task_params(state: State, task: int) -> PatchParams:
    """One task's row of the patch tables."""
    return jax.tree.map(lambda table: table[task], state.patches)


def task_edits(patch: Patch, params: PatchParams) -> LeafEdits:
    """The hard edits of one task, in numpy."""
    return jax.tree.map(np.asarray, patch.pack(params))


def task_head(state: State, layout: HeadLayout, task: int) -> dict[str, np.ndarray[Any, Any]]:
    """One task's head, as a file names its parts: `w` [features, classes] and `b` [classes].

    Those of an auxiliary prediction are called `NAME/w` and `NAME/b`.
    """
    rows = layout.rows(task)
    heads = {"": state.head, **{f"{name}/": head for name, head in state.auxiliary.items()}}
    return {
        f"{prefix}{leaf}": np.ascontiguousarray(np.asarray(wide[rows]).T)
        for prefix, head in heads.items()
        for leaf, wide in head.items()
    }
