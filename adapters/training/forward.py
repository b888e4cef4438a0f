"""The mixed-task forward pass: groups of examples, each group under its own task's patch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.backbones.builder import Backbone
from adapters.heads import classification
from adapters.layers.norm import Mode
from adapters.patches.contract import Patch, PatchParams, Weights
from adapters.training.tables import rows_of

GROUPS, EXAMPLES = "groups", "examples"


class Predictions(NamedTuple):
    """What a mixed batch gives.

    Attributes:
      logits: [G, E, rows] over the wide head; masked outside the group's own classes.
      penalties: [G], each patch's own term of the loss.
      moments: {norm path: {"mean", "var"}}, each [T, C]; empty in `frozen` mode.
    """

    logits: jax.Array
    penalties: jax.Array
    moments: Weights


def mixed_forward(
    backbone: Backbone,
    patch: Patch,
    layout: classification.HeadLayout,
    mode: Mode,
    rematerialise: bool = False,
) -> Callable[..., Predictions]:
    """A function of (weights, patches, head, tasks, images, key, progress).

    Args:
      backbone: the network.
      patch: what each task owns of it; `patches` holds its params with leaves [T, ...].
      layout: which rows of the wide `head` are whose.
      mode: of the norms: `frozen` for inference.
      rematerialise: whether blocks are computed again in the backward pass, to save memory;
        only with norms that do not measure.

    The returned function takes tasks [G] int32 (checked on the host: JAX would clamp them), images
    [G, E, H, W, 3] normalised, a key, and progress in [0, 1].
    """
    owners = jnp.asarray(layout.owners)
    tasks_total = len(layout.classes)

    def forward(
        weights: Weights,
        patches: PatchParams,
        head: dict[str, jax.Array],
        tasks: jax.Array,
        images: jax.Array,
        key: jax.Array,
        progress: jax.Array,
    ) -> Predictions:
        def one_group(
            task: jax.Array, params: PatchParams, images: jax.Array, keys: jax.Array
        ) -> tuple[jax.Array, jax.Array, Weights]:
            own = owners == task
            membership = (jnp.arange(tasks_total) == task).astype(jnp.float32)

            def one_example(image: jax.Array, key: jax.Array) -> tuple[jax.Array, Weights]:
                context: dict[str, Any] = {"key": key, "progress": progress}
                seen = patch.prepare(weights, params, image, context)
                patched = patch.apply(weights, params, seen)
                outputs = backbone.apply(
                    patched, image, mode, membership, (GROUPS, EXAMPLES), rematerialise
                )
                return classification.logits(head, outputs.features, own), outputs.moments

            logits, moments = jax.vmap(one_example, out_axes=(0, None), axis_name=EXAMPLES)(
                images, keys
            )
            penalty = patch.penalty(params, {"key": keys[0], "progress": progress})
            return logits, jnp.asarray(penalty, jnp.float32), moments

        rows = PatchParams(*(rows_of(tables, tasks, tasks_total) for tables in patches))
        keys = jax.random.split(key, images.shape[:2])
        return Predictions(
            *jax.vmap(one_group, out_axes=(0, 0, None), axis_name=GROUPS)(tasks, rows, images, keys)
        )

    return forward
