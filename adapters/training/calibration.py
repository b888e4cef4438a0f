"""Norm statistics measured on each task's own images before the first step, then left as they are.

Batch normalisation adapted to another domain without training (Li et al., "Revisiting Batch
Normalization for Practical Domain Adaptation", arXiv 1603.04779), for all tasks at once.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from adapters.backbones.builder import Backbone
from adapters.heads.together import TaskHeads
from adapters.patches.contract import Patch, PatchParams, Weights
from adapters.patches.statistics import measure
from adapters.training.forward import mixed_forward
from adapters.training.reading import Batches, in_order
from adapters.training.state import State, Trainer

BATCHES = 16  # of each task; on the pocket tasks


def calibrated(
    trainer: Trainer,
    backbone: Backbone,
    patch: Patch,
    heads: TaskHeads,
    pixels: tuple[tuple[float, ...], tuple[float, ...]],
    batches: Sequence[Batches],
) -> Trainer:
    """`trainer`, but its first state holds each task's own statistics in `measured`.

    They are averages over `BATCHES` batches of the moments that every norm sees while the norms
    before it use the batch's moments themselves: the network's own statistics on the new domain.

    Args:
      trainer: whose patch keeps statistics.
      backbone, patch, heads, pixels: as for `step.trainer`.
      batches: of each task, read only here.
    """
    forward = mixed_forward(backbone, patch, heads.layout(heads.kinds[0]), "batch")
    mean, std = (np.asarray(values, np.float32).reshape(1, 1, 1, -1) for values in pixels)

    @jax.jit
    def moved(
        state: State, weights: Weights, task: jax.Array, images: jax.Array, kept: jax.Array
    ) -> PatchParams:
        normal = (images.astype(jnp.float32) - mean) / std
        moments = forward(
            weights,
            state.patches,
            {},
            task[None],
            {"image": normal[None]},
            jax.random.split(jax.random.key(0), (1, len(images))),
            jnp.zeros(()),
        ).moments
        own = jax.tree.map(lambda rows: rows[task], state.patches.measured)
        new = measure(own, jax.tree.map(lambda rows: rows[task], moments), kept)
        measured = jax.tree.map(
            lambda rows, row: rows.at[task].set(row), state.patches.measured, new
        )
        return state.patches._replace(measured=measured)

    def init(key: jax.Array, weights: Weights) -> State:
        state = trainer.init(key, weights)
        for task, own in enumerate(batches):
            for number, batch in zip(range(BATCHES), in_order(own), strict=False):
                kept = np.float32(number / (number + 1))
                patches = moved(state, weights, np.int32(task), batch["image"], kept)
                state = state._replace(patches=patches)
        return state

    return trainer._replace(init=init)
