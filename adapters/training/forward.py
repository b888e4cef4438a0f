"""The mixed-task forward pass: groups of examples, each group under its own task's patch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.backbones.builder import Backbone
from adapters.heads.linear import FEATURES
from adapters.heads.together import Layout, Table
from adapters.patches.contract import Patch, PatchParams, Weights
from adapters.patches.forward import forward
from adapters.patches.replacement import with_leaves
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
      own: the head's predictions {name: [G, E, ...]}; outputs stand as its layout has them.
      auxiliary: by name, what else the patch predicts.
      penalties: [G], each patch's own term of the loss.
      moments: {norm path: {"mean", "var"}}, each [T, C]; empty in `frozen` mode.
      maps: {name: [G, E, ...]}, of those that were asked for.
    """

    own: dict[str, jax.Array]
    auxiliary: dict[str, Auxiliary]
    penalties: jax.Array
    moments: Weights
    maps: dict[str, jax.Array]


def mixed_forward(
    backbone: Backbone,
    patch: Patch,
    layout: Layout,
    mode: NormMode,
    rematerialise: bool = False,
    precision: Precision = "float32",
    taps: Sequence[str] = (FEATURES,),
    maps: Sequence[str] = (),
) -> Callable[..., Predictions]:
    """A function of (weights, patches, tables, tasks, inputs, keys, progress, by_group).

    Args:
      backbone: the network.
      patch: what each task owns of it; `patches` holds its params with leaves [T, ...].
      layout: which rows of the heads in `tables` are whose.
      mode: of the norms: `frozen` for inference.
      rematerialise: whether blocks are computed again in the backward pass, to save memory;
        only with norms that do not measure.
      precision: of the network's kernels and activations; see `patches.forward`.
      taps: the maps that the heads read.
      maps: those that are wanted themselves.

    The returned function takes tasks [G] int32 (checked on the host: JAX would clamp them), inputs
    {name: [G, E, ...]} with `image` [G, E, H, W, 3] normalised, keys [G, E] and progress in [0, 1];
    `tables` holds the heads under "", if predictions are wanted, and one under the name of each
    auxiliary prediction that is. `by_group` holds leaves [G, ...] of the weights that each group
    has its own of.
    """
    tasks_total = len(layout.outputs)
    wanted = tuple(dict.fromkeys([*taps, *maps]))

    def mixed(
        weights: Weights,
        patches: PatchParams,
        tables: Mapping[str, Table],
        tasks: jax.Array,
        inputs: Mapping[str, jax.Array],
        keys: jax.Array,
        progress: jax.Array,
        by_group: Weights | None = None,
    ) -> Predictions:
        def one_group(
            task: jax.Array,
            params: PatchParams,
            inputs: Mapping[str, jax.Array],
            keys: jax.Array,
            replaced: Weights,
        ) -> tuple[
            dict[str, jax.Array], dict[str, Auxiliary], jax.Array, Weights, dict[str, jax.Array]
        ]:
            own_weights = with_leaves(weights, replaced)
            membership = (jnp.arange(tasks_total) == task).astype(jnp.float32)

            def one_example(
                inputs: Mapping[str, jax.Array], key: jax.Array
            ) -> tuple[
                tuple[dict[str, jax.Array], dict[str, Auxiliary], dict[str, jax.Array]], Weights
            ]:
                norm = (mode, membership, (GROUPS, EXAMPLES))
                context: dict[str, Any] = {
                    "backbone": backbone,
                    "key": key,
                    "progress": progress,
                    "norm": norm,
                }
                patched = patch.apply(own_weights, params, context)
                seen = forward(
                    backbone,
                    patch.prepare,
                    patched,
                    inputs,
                    context,
                    wanted,
                    rematerialise=rematerialise,
                    precision=precision,
                )
                others = {
                    name: Auxiliary(
                        layout.predictions(tables[name], {FEATURES: prediction.features}, task),
                        prediction.weight,
                    )
                    for name, prediction in seen.auxiliary.items()
                    if name in tables
                }
                predicted = layout.predictions(tables[""], seen.taps, task) if "" in tables else {}
                return (predicted, others, {name: seen.taps[name] for name in maps}), seen.moments

            (predicted, others, seen), moments = jax.vmap(
                one_example, out_axes=(0, None), axis_name=EXAMPLES
            )(inputs, keys)
            penalty = patch.penalty(params, {"progress": progress})
            return predicted, others, jnp.asarray(penalty, jnp.float32), moments, seen

        rows = PatchParams(*(rows_of(tables, tasks, tasks_total) for tables in patches))
        return Predictions(
            *jax.vmap(one_group, out_axes=(0, 0, 0, None, 0), axis_name=GROUPS)(
                tasks, rows, inputs, keys, by_group or {}
            )
        )

    return mixed
