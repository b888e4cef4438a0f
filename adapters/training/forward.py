"""The mixed-task forward pass: groups of examples, each group under its own task's patch."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.backbones.builder import Backbone
from adapters.heads import classification
from adapters.patches.contract import Patch, PatchParams, Weights
from adapters.patches.replacement import with_leaves
from adapters.training.tables import rows_of
from adapters.vocabulary import NormMode

GROUPS, EXAMPLES = "groups", "examples"


Heads = Mapping[str, classification.Head]


class AuxiliaryLogits(NamedTuple):
    """Logits [G, E, rows] of an auxiliary prediction, and how much its loss counts, [G, E]."""

    logits: jax.Array
    weight: jax.Array


class Predictions(NamedTuple):
    """What a mixed batch gives.

    Attributes:
      logits: [G, E, rows] over the wide head; masked outside the group's own classes.
      auxiliary: by name, what else the patch predicts.
      penalties: [G], each patch's own term of the loss.
      moments: {norm path: {"mean", "var"}}, each [T, C]; empty in `frozen` mode.
    """

    logits: jax.Array
    auxiliary: dict[str, AuxiliaryLogits]
    penalties: jax.Array
    moments: Weights


def mixed_forward(
    backbone: Backbone,
    patch: Patch,
    layout: classification.HeadLayout,
    mode: NormMode,
    rematerialise: bool = False,
) -> Callable[..., Predictions]:
    """A function of (weights, patches, head, tasks, images, key, progress, auxiliary).

    Args:
      backbone: the network.
      patch: what each task owns of it; `patches` holds its params with leaves [T, ...].
      layout: which rows of the wide `head` are whose.
      mode: of the norms: `frozen` for inference.
      rematerialise: whether blocks are computed again in the backward pass, to save memory;
        only with norms that do not measure.

    The returned function takes tasks [G] int32 (checked on the host: JAX would clamp them), images
    [G, E, H, W, 3] normalised, a key, and progress in [0, 1]; `auxiliary` holds a wide head for
    each auxiliary prediction that is wanted.
    """
    owners = jnp.asarray(layout.owners)
    tasks_total = len(layout.classes)

    def forward(
        weights: Weights,
        patches: PatchParams,
        head: classification.Head,
        tasks: jax.Array,
        images: jax.Array,
        key: jax.Array,
        progress: jax.Array,
        auxiliary: Heads | None = None,
    ) -> Predictions:
        heads = auxiliary or {}

        def one_group(
            task: jax.Array, params: PatchParams, images: jax.Array, keys: jax.Array
        ) -> tuple[jax.Array, dict[str, AuxiliaryLogits], jax.Array, Weights]:
            own = owners == task
            membership = (jnp.arange(tasks_total) == task).astype(jnp.float32)

            def one_example(
                image: jax.Array, key: jax.Array
            ) -> tuple[tuple[jax.Array, dict[str, AuxiliaryLogits]], Weights]:
                norm = (mode, membership, (GROUPS, EXAMPLES))
                context: dict[str, Any] = {
                    "backbone": backbone,
                    "key": key,
                    "progress": progress,
                    "norm": norm,
                }
                patched = patch.apply(weights, params, context)
                seen = patch.prepare(patched, image, context)
                outputs = backbone.apply(
                    with_leaves(patched, seen.leaves), image, *norm, rematerialise
                )
                logits = classification.logits(head, outputs.features, own)
                others = {
                    name: AuxiliaryLogits(
                        classification.logits(heads[name], prediction.features, own),
                        prediction.weight,
                    )
                    for name, prediction in seen.auxiliary.items()
                    if name in heads
                }
                return (logits, others), {**seen.moments, **outputs.moments}

            (logits, others), moments = jax.vmap(
                one_example, out_axes=(0, None), axis_name=EXAMPLES
            )(images, keys)
            penalty = patch.penalty(params, {"key": keys[0], "progress": progress})
            return logits, others, jnp.asarray(penalty, jnp.float32), moments

        rows = PatchParams(*(rows_of(tables, tasks, tasks_total) for tables in patches))
        keys = jax.random.split(key, images.shape[:2])
        return Predictions(
            *jax.vmap(one_group, out_axes=(0, 0, 0, None), axis_name=GROUPS)(
                tasks, rows, images, keys
            )
        )

    return forward
