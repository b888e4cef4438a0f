"""The mixed-task forward pass: groups of examples, each group under its own task's patch."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.backbones.builder import Backbone
from adapters.heads import wide
from adapters.heads.linear import FEATURES
from adapters.patches.contract import Patch, PatchParams, Weights
from adapters.patches.forward import forward
from adapters.training.tables import rows_of
from adapters.vocabulary import NormMode, Precision

GROUPS, EXAMPLES = "groups", "examples"


class Auxiliary(NamedTuple):
    """What else a patch predicts, {name: [G, E, ...]}, and how much it counts, [G, E]."""

    predictions: dict[str, jax.Array]
    weight: jax.Array


class Predictions(NamedTuple):
    """What a mixed batch gives.

    Attributes:
      own: the head's predictions {name: [G, E, ...]}; outputs of a linear head stand in wide rows,
        masked outside the group's own.
      auxiliary: by name, what else the patch predicts.
      penalties: [G], each patch's own term of the loss.
      moments: {norm path: {"mean", "var"}}, each [T, C]; empty in `frozen` mode.
    """

    own: dict[str, jax.Array]
    auxiliary: dict[str, Auxiliary]
    penalties: jax.Array
    moments: Weights


def mixed_forward(
    backbone: Backbone,
    patch: Patch,
    layout: wide.HeadLayout,
    mode: NormMode,
    rematerialise: bool = False,
    precision: Precision = "float32",
) -> Callable[..., Predictions]:
    """A function of (weights, patches, tables, tasks, inputs, key, progress).

    Args:
      backbone: the network.
      patch: what each task owns of it; `patches` holds its params with leaves [T, ...].
      layout: which rows of the wide heads in `tables` are whose.
      mode: of the norms: `frozen` for inference.
      rematerialise: whether blocks are computed again in the backward pass, to save memory;
        only with norms that do not measure.
      precision: of the network's kernels and activations; see `patches.forward`.

    The returned function takes tasks [G] int32 (checked on the host: JAX would clamp them), inputs
    {name: [G, E, ...]} with `image` [G, E, H, W, 3] normalised, a key, and progress in [0, 1];
    `tables` holds a wide head under "", if predictions are wanted, and one under the name of each
    auxiliary prediction that is.
    """
    owners = jnp.asarray(layout.owners)
    tasks_total = len(layout.outputs)

    def mixed(
        weights: Weights,
        patches: PatchParams,
        tables: Mapping[str, wide.WideHead],
        tasks: jax.Array,
        inputs: Mapping[str, jax.Array],
        key: jax.Array,
        progress: jax.Array,
    ) -> Predictions:
        def one_group(
            task: jax.Array,
            params: PatchParams,
            inputs: Mapping[str, jax.Array],
            keys: jax.Array,
        ) -> tuple[dict[str, jax.Array], dict[str, Auxiliary], jax.Array, Weights]:
            own = owners == task
            membership = (jnp.arange(tasks_total) == task).astype(jnp.float32)

            def one_example(
                inputs: Mapping[str, jax.Array], key: jax.Array
            ) -> tuple[tuple[dict[str, jax.Array], dict[str, Auxiliary]], Weights]:
                norm = (mode, membership, (GROUPS, EXAMPLES))
                context: dict[str, Any] = {
                    "backbone": backbone,
                    "key": key,
                    "progress": progress,
                    "norm": norm,
                }
                patched = patch.apply(weights, params, context)
                seen = forward(
                    backbone,
                    patch.prepare,
                    patched,
                    inputs,
                    context,
                    rematerialise=rematerialise,
                    precision=precision,
                )
                others = {
                    name: Auxiliary(
                        wide.predictions(tables[name], {FEATURES: prediction.features}, own),
                        prediction.weight,
                    )
                    for name, prediction in seen.auxiliary.items()
                    if name in tables
                }
                predicted = wide.predictions(tables[""], seen.taps, own) if "" in tables else {}
                return (predicted, others), seen.moments

            (predicted, others), moments = jax.vmap(
                one_example, out_axes=(0, None), axis_name=EXAMPLES
            )(inputs, keys)
            penalty = patch.penalty(params, {"key": keys[0], "progress": progress})
            return predicted, others, jnp.asarray(penalty, jnp.float32), moments

        rows = PatchParams(*(rows_of(tables, tasks, tasks_total) for tables in patches))
        keys = jax.random.split(key, inputs["image"].shape[:2])
        return Predictions(
            *jax.vmap(one_group, out_axes=(0, 0, 0, None), axis_name=GROUPS)(
                tasks, rows, inputs, keys
            )
        )

    return mixed
