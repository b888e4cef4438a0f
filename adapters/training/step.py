"""The compiled training step, for all tasks and every patch.

There is one program a kind of head and size of images.

It is made of parts that can be read and replaced: `forward`, the predictions of a mixed batch;
`losses`, one number a group; `gradients`, and how shared ones are combined; `optimiser`, updates by
rows; statistics; and what scheduling rules are told.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from adapters.backbones.builder import Backbone
from adapters.errors import ModelPatchError
from adapters.heads.together import TaskHeads
from adapters.native import gradients as native
from adapters.patches.contract import Patch, PatchParams, Predicate, Weights
from adapters.patches.replacement import leaves_where, with_leaves
from adapters.patches.statistics import measure
from adapters.scheduling.contract import Scheduling, Tasks
from adapters.scheduling.registry import plain
from adapters.training import gradients, matching, placement, portions
from adapters.training.forward import mixed_forward
from adapters.training.initial_tables import auxiliary_widths, initial_tables
from adapters.training.losses import annealed, loss_of
from adapters.training.matching import Matched
from adapters.training.optimiser import adam
from adapters.training.recipe import Recipe, Schedule, schedule
from adapters.training.scheduled import signals, told_apart
from adapters.training.state import Batch, Metrics, State, Trainer
from adapters.training.tables import rows_of
from adapters.vocabulary import MEASURING

_COMBINING = 2**31 - 1  # of a step's key; an image's own are the numbers below


class _Examples(NamedTuple):
    """Those of a batch, or of a portion of it, and a key for each, [G, E]."""

    inputs: dict[str, jax.Array]
    targets: dict[str, jax.Array]
    keys: jax.Array


class StatisticsMissingError(ModelPatchError):
    """A norm mode that moves the statistics, with a patch that would lose them."""


class TaskIdError(ValueError):
    """A task id outside the tables, which JAX would silently clamp; or heads of several kinds."""


def trainer(
    backbone: Backbone,
    patch: Patch,
    heads: TaskHeads,
    recipe: Recipe,
    pixels: tuple[tuple[float, ...], tuple[float, ...]] | None,
    mesh: Mesh,
    shared: Predicate = lambda path, name, leaf: False,
    scheduling: Scheduling | None = None,
    matched: Matched | None = None,
) -> Trainer:
    """Builds the training functions.

    Args:
      backbone: the frozen network, or the rest of it (`prefix.Prefix`).
      patch: what each task trains of it.
      heads: the tasks' heads.
      recipe: the optimisation.
      pixels: (mean, std) of RGB pixels in 0..255 that the backbone expects removed; None where it
        is the rest of a network, which takes no pixels.
      mesh: with one axis, `data`, over which groups are sharded; its size must divide them.
      shared: which shared leaves train too.
      scheduling: how tasks are weighed, and their gradients of shared leaves combined; by default
        all count alike and are added up.
      matched: the map in which students take after their teachers, if there is one.

    Raises NativeCodeError where native gradients are asked for and cannot be had.
    """
    if recipe.native_gradients:
        native.check(mesh)
    tasks_total = len(heads.heads)
    scheduling = scheduling or plain(_tasks(heads))
    weighting = scheduling.weighting
    layouts = {kind: heads.layout(kind) for kind in heads.kinds}
    row_optimiser, head_optimiser = adam(), adam(recipe.head_decay)
    maps = () if matched is None else (matched.map,)

    def init(key: jax.Array, weights: Weights) -> State:
        keys = jax.random.split(key, tasks_total)
        patches = jax.vmap(patch.init, in_axes=(0, None))(keys, weights)
        if recipe.norm in MEASURING and not jax.tree.leaves(patches.measured):
            raise StatisticsMissingError(
                f"norm mode {recipe.norm!r} trains on each task's own statistics, but the patch "
                "keeps none: chain `statistics()` to it, or use frozen norms."
            )
        tables = {
            kind: initial_tables(heads, kind, backbone, auxiliary_widths(backbone, patch, weights))
            for kind in heads.kinds
        }
        trained_shared = leaves_where(shared, weights)
        adaptors = matching.initial(matched, tasks_total)
        return State(
            jnp.zeros((), jnp.int32),
            patches,
            tables,
            trained_shared,
            (
                row_optimiser.init(patches.trained, tasks_total),
                {
                    kind: head_optimiser.init(tables[kind], len(own.owners))
                    for kind, own in layouts.items()
                },
                row_optimiser.init(jax.tree.map(lambda x: x[None], trained_shared), 1),
            ),
            weighting.init(scheduling.tasks),
            (adaptors, row_optimiser.init(adaptors, tasks_total)),
        )

    def step_of(kind: str) -> Callable[..., tuple[State, Metrics]]:
        own = layouts[kind]
        owners = jnp.asarray(own.owners)
        head = heads.of_kind(kind)
        forward = mixed_forward(
            *(backbone, patch, own, recipe.norm, recipe.rematerialise, recipe.precision),
            *(head.taps, maps),
        )
        group_loss = loss_of(head, own, recipe)
        # The rest of a network has small maps; gradients told apart by group are large to add up.
        parted = pixels is not None and scheduling.combine is None and recipe.norm not in MEASURING

        def step(
            state: State, weights: Weights, batch: Batch, now: Schedule, key: jax.Array
        ) -> tuple[State, Metrics]:
            tasks, progress = jnp.asarray(batch.tasks), jnp.asarray(now.progress)
            step_key = jax.random.fold_in(key, state.step)
            counted = weighting.weights(state.scheduling, progress)
            inputs, targets = jax.tree.map(jnp.asarray, (dict(batch.inputs), dict(batch.targets)))
            shape = inputs["image"].shape
            examples = _Examples(inputs, targets, jax.random.split(step_key, shape[:2]))
            parts = portions.count(shape, mesh) if parted else 1

            def losses(
                trained: gradients.Trained, by_group: Weights, examples: _Examples
            ) -> tuple[jax.Array, Any]:
                patches, (tables, adaptors), shared_leaves = trained
                image = examples.inputs["image"]
                if pixels is not None:
                    image = normalised(image, *pixels)
                predictions = forward(
                    with_leaves(weights, shared_leaves),
                    state.patches._replace(trained=patches),
                    tables,
                    tasks,
                    {**examples.inputs, "image": image},
                    examples.keys,
                    progress,
                    by_group,
                )
                targets = dict(examples.targets)
                teachers = targets.pop(matching.MAP, None)
                loss, figures = jax.vmap(group_loss, in_axes=(0, 0, 0, None))(
                    tasks, predictions._replace(moments={}), targets, progress
                )
                if matched is not None and teachers is not None:
                    rows = rows_of(adaptors, tasks, tasks_total)
                    gaps = matching.distances(rows, predictions.maps[matched.map], teachers)
                    loss = loss + annealed(recipe, recipe.feature_matching, progress) * gaps
                    figures = {**figures, "matching": gaps}
                return loss * counted[tasks], (loss, figures, predictions.moments)

            adaptors, adaptor_state = state.matching
            trained = (state.patches.trained, (state.heads[kind], adaptors), state.shared)
            with native.wanted(recipe.native_gradients):
                found = gradients.find(
                    losses,
                    trained,
                    examples,
                    parts,
                    told_apart(scheduling, state.shared, backbone.table),
                    tasks,
                    tasks_total,
                    scheduling.combine,
                    jax.random.fold_in(step_key, _COMBINING),
                )
            loss, figures, moments = found.beside
            told = signals(scheduling, tasks, tasks_total, loss, figures, found.products)
            if weighting.adaptive:
                figures = {**figures, "weight": counted[tasks]}
            if tasks_total > 1:
                same = tasks[:, None] == tasks[None, :]
                figures = {**figures, "share": jnp.mean(same, axis=1, dtype=jnp.float32)}

            def rates(task: jax.Array, patches: PatchParams) -> Any:
                del task  # so that there are rows to map over where nothing is trained
                factors = patch.rates(weights, patches, {"progress": progress})
                return jax.tree.map(lambda factor: jnp.asarray(factor * now.patch_rate), factors)

            patch_state, head_states, shared_state = state.optimisers
            patches, patch_state = row_optimiser.update(
                *(found.gradients[0], patch_state, trained[0], told.present),
                jax.vmap(rates)(jnp.arange(tasks_total), state.patches),
            )
            # Row -1, nobody's, reads the False appended behind the tasks.
            of_tables, of_adaptors = found.gradients[1]
            tables, head_state = head_optimiser.update(
                *(of_tables, head_states[kind], state.heads[kind]),
                jnp.append(told.present, False)[owners],
                jnp.broadcast_to(jnp.asarray(now.head_rate), (len(owners),)),
            )
            adaptors, adaptor_state = row_optimiser.update(
                *(of_adaptors, adaptor_state, adaptors, told.present),
                jnp.broadcast_to(jnp.asarray(now.head_rate), (tasks_total,)),
            )
            as_row = jax.tree.map(lambda x: x[None], (found.gradients[2], trained[2]))
            moved, shared_state = row_optimiser.update(
                as_row[0],
                shared_state,
                as_row[1],
                jnp.ones((1,), bool),
                jnp.broadcast_to(jnp.asarray(now.shared_rate), (1,)),
            )
            measured = state.patches.measured
            if recipe.norm in MEASURING:
                measured = _measure(measured, moments, told.present, recipe.statistics_decay)
            new = State(
                state.step + 1,
                state.patches._replace(trained=patches, measured=measured),
                {**state.heads, kind: tables},
                jax.tree.map(lambda x: x[0], moved),
                (patch_state, {**head_states, kind: head_state}, shared_state),
                weighting.update(state.scheduling, told),
                (adaptors, adaptor_state),
            )
            return new, Metrics(loss, figures)

        return step

    everywhere, by_group = placement.everywhere(mesh), placement.by_group(mesh)
    batch_sharding: Any = Batch(by_group, by_group, by_group)  # type: ignore[arg-type]
    compiled_init = jax.jit(init, out_shardings=everywhere)
    compiled = {
        kind: jax.jit(
            step_of(kind),
            in_shardings=(everywhere, everywhere, batch_sharding, everywhere, everywhere),
            out_shardings=everywhere,
            donate_argnums=0,
        )
        for kind in heads.kinds
    }

    def checked_step(
        state: State, weights: Weights, batch: Batch, key: jax.Array, number: int | None = None
    ) -> tuple[State, Metrics]:
        ids = np.asarray(batch.tasks)
        if ids.min() < 0 or ids.max() >= tasks_total:
            raise TaskIdError(f"task ids {ids.tolist()} must lie in 0..{tasks_total - 1}.")
        kinds = sorted({heads.heads[task].kind for task in ids.tolist()})
        if len(kinds) > 1:
            raise TaskIdError(
                f"the heads of a batch's tasks are of the kinds {', '.join(kinds)}: give one batch "
                "to each kind."
            )
        done = int(state.step) if number is None else number
        placed = Batch(
            placement.shared_out(mesh, ids[placement.own_groups(mesh, len(ids))]),
            placement.shared_out(mesh, batch.inputs),
            placement.shared_out(mesh, batch.targets),
        )
        return compiled[kinds[0]](state, weights, placed, schedule(recipe, done), key)

    return Trainer(compiled_init, checked_step, heads, mesh)


def _tasks(heads: TaskHeads) -> Tasks:
    """What is known of tasks by their heads alone."""
    return Tasks((1,) * len(heads.heads), heads.outputs, tuple(head.kind for head in heads.heads))


def _measure(measured: Any, moments: Weights, present: jax.Array, decay: float) -> Any:
    def one(here: jax.Array, old: Any, own_moments: Weights) -> Any:
        new = measure(old, own_moments, decay)
        return jax.tree.map(lambda fresh, stale: jnp.where(here, fresh, stale), new, old)

    return jax.vmap(one)(present, measured, moments)


def normalised(pixels: jax.Array, mean: Sequence[float], std: Sequence[float]) -> jax.Array:
    """Pixels [..., 3] in 0..255 as a network takes them, float32."""
    shape = (1,) * (pixels.ndim - 1) + (-1,)
    shift, scale = (jnp.asarray(each, jnp.float32).reshape(shape) for each in (mean, std))
    return (pixels.astype(jnp.float32) - shift) / scale
