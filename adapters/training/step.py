"""The one compiled training step, for all tasks and every patch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from adapters.backbones.builder import Backbone
from adapters.errors import ModelPatchError
from adapters.heads import classification
from adapters.patches.contract import Patch, PatchParams, Predicate, Prepared, Weights
from adapters.patches.replacement import leaves_where, with_leaves
from adapters.patches.statistics import measure
from adapters.training.forward import AuxiliaryLogits, mixed_forward
from adapters.training.optimiser import adam
from adapters.training.recipe import Recipe, Schedule, schedule
from adapters.vocabulary import MEASURING


class Batch(NamedTuple):
    """One step's examples, G groups of E.

    Attributes:
      tasks: [G] int32, the task of each group.
      images: [G, E, H, W, 3] uint8.
      labels: [G, E] int32, classes counted within the task.
      weights: [T] float32, how much each task's loss counts.
      teacher: [G, E, rows] float32, a teacher's probabilities on the wide head's rows; None: no
        teacher.
    """

    tasks: jax.Array | np.ndarray
    images: jax.Array | np.ndarray
    labels: jax.Array | np.ndarray
    weights: jax.Array | np.ndarray
    teacher: jax.Array | np.ndarray | None = None


class State(NamedTuple):
    """All that training moves.

    Attributes:
      step: int32 scalar, steps done.
      patches: PatchParams of every task, leaves [T, ...].
      head: the wide head.
      auxiliary: a wide head for each auxiliary prediction of the patch, by name.
      shared: the shared leaves that are trained too; usually none.
      optimisers: state of the patches', the heads' and the shared leaves' optimiser.
    """

    step: jax.Array
    patches: PatchParams
    head: classification.Head
    auxiliary: dict[str, classification.Head]
    shared: Weights
    optimisers: tuple[Any, Any, Any]


class Metrics(NamedTuple):
    """Per group [G]: mean loss in nats (all of its terms) and share of right answers."""

    loss: jax.Array
    accuracy: jax.Array


class Trainer(NamedTuple):
    """Attributes:
    init: (key, weights) -> State.
    step: (state, weights, batch, key) -> (state, Metrics); compiled, `state` is donated.
    """

    init: Callable[[jax.Array, Weights], State]
    step: Callable[[State, Weights, Batch, jax.Array], tuple[State, Metrics]]


class StatisticsMissingError(ModelPatchError):
    """A norm mode that moves the statistics, with a patch that would lose them."""


class TaskIdError(ValueError):
    """A task id outside the tables, which JAX would silently clamp."""


def trainer(
    backbone: Backbone,
    patch: Patch,
    layout: classification.HeadLayout,
    recipe: Recipe,
    pixels: tuple[tuple[float, ...], tuple[float, ...]],
    mesh: Mesh,
    shared: Predicate = lambda path, name, leaf: False,
) -> Trainer:
    """Builds the training functions.

    Args:
      backbone: the frozen network.
      patch: what each task trains of it.
      layout: the tasks' heads.
      recipe: the optimisation.
      pixels: (mean, std) of RGB pixels in 0..255 that the backbone expects removed.
      mesh: with one axis, `data`, over which groups are sharded; its size must divide them.
      shared: which shared leaves train too.
    """
    tasks_total = len(layout.classes)
    forward = mixed_forward(backbone, patch, layout, recipe.norm, recipe.rematerialise)
    row_optimiser, head_optimiser = adam(), adam(recipe.head_decay)
    owners, starts = jnp.asarray(layout.owners), jnp.asarray(layout.starts)
    mean, std = (jnp.asarray(values, jnp.float32) for values in pixels)

    def init(key: jax.Array, weights: Weights) -> State:
        keys = jax.random.split(key, tasks_total)
        patches = jax.vmap(patch.init, in_axes=(0, None))(keys, weights)
        if recipe.norm in MEASURING and not jax.tree.leaves(patches.measured):
            raise StatisticsMissingError(
                f"norm mode {recipe.norm!r} trains on each task's own statistics, but the patch "
                "keeps none: chain `statistics()` to it, or use frozen norms."
            )
        head = classification.initial(layout.capacity, backbone.table.features)
        auxiliary = {
            name: classification.initial(layout.capacity, width)
            for name, width in auxiliary_widths(backbone, patch, weights).items()
        }
        trained_shared = leaves_where(shared, weights)
        return State(
            jnp.zeros((), jnp.int32),
            patches,
            head,
            auxiliary,
            trained_shared,
            (
                row_optimiser.init(patches.trained, tasks_total),
                head_optimiser.init((head, auxiliary), layout.capacity),
                row_optimiser.init(jax.tree.map(lambda x: x[None], trained_shared), 1),
            ),
        )

    def losses(
        trained: tuple[Any, tuple[classification.Head, dict[str, classification.Head]], Weights],
        tables: PatchParams,
        weights: Weights,
        batch: Batch,
        key: jax.Array,
        progress: jax.Array,
    ) -> tuple[jax.Array, tuple[Metrics, Weights]]:
        patches, (head, auxiliary), shared_leaves = trained
        images = (batch.images.astype(jnp.float32) - _last(mean)) / _last(std)
        predictions = forward(
            with_leaves(weights, shared_leaves),
            tables._replace(trained=patches),
            head,
            batch.tasks,
            images,
            key,
            progress,
            auxiliary,
        )

        def one_group(
            task: jax.Array,
            logits: jax.Array,
            others: dict[str, AuxiliaryLogits],
            labels: jax.Array,
            teacher: jax.Array | None,
            penalty: jax.Array,
        ) -> tuple[jax.Array, jax.Array]:
            own, right = owners == task, labels + starts[task]

            def cross_entropies(logits: jax.Array) -> jax.Array:
                hard = jax.vmap(classification.cross_entropy, (0, 0, None, None))(
                    logits, right, own, recipe.smoothing
                )
                if teacher is None:
                    return hard
                soft = jax.vmap(classification.distilled, (0, 0))(logits, teacher)
                return (1 - recipe.distillation) * hard + recipe.distillation * soft

            loss = cross_entropies(logits)
            for other in others.values():
                loss = loss + other.weight * cross_entropies(other.logits)
            hits = jnp.argmax(logits, axis=-1).astype(jnp.int32) == right
            return jnp.mean(loss) + penalty, jnp.mean(hits.astype(jnp.float32))

        loss, accuracy = jax.vmap(one_group)(
            jnp.asarray(batch.tasks),
            predictions.logits,
            predictions.auxiliary,
            jnp.asarray(batch.labels),
            None if batch.teacher is None else jnp.asarray(batch.teacher),
            predictions.penalties,
        )
        total = jnp.mean(loss * batch.weights[batch.tasks])
        return total, (Metrics(loss, accuracy), predictions.moments)

    def step(
        state: State, weights: Weights, batch: Batch, now: Schedule, key: jax.Array
    ) -> tuple[State, Metrics]:
        trained = (state.patches.trained, (state.head, state.auxiliary), state.shared)
        gradients, (metrics, moments) = jax.grad(losses, has_aux=True)(
            trained,
            state.patches,
            weights,
            batch,
            jax.random.fold_in(key, state.step),
            jnp.asarray(now.progress),
        )
        present = jnp.any(jnp.arange(tasks_total)[:, None] == batch.tasks[None], axis=1)

        def rates(task: jax.Array, patches: PatchParams) -> Any:
            del task  # so that there are rows to map over where nothing is trained
            factors = patch.rates(patches, {"progress": jnp.asarray(now.progress)})
            return jax.tree.map(lambda factor: jnp.asarray(factor * now.patch_rate), factors)

        patches, patch_state = row_optimiser.update(
            *(gradients[0], state.optimisers[0], trained[0], present),
            jax.vmap(rates)(jnp.arange(tasks_total), state.patches),
        )
        # Row -1, nobody's, reads the False appended behind the tasks.
        own_present = jnp.append(present, False)[owners]
        (head, auxiliary), head_state = head_optimiser.update(
            *(gradients[1], state.optimisers[1], trained[1], own_present),
            jnp.broadcast_to(jnp.asarray(now.head_rate), (layout.capacity,)),
        )
        as_row = jax.tree.map(lambda x: x[None], (gradients[2], trained[2]))
        moved, shared_state = row_optimiser.update(
            as_row[0],
            state.optimisers[2],
            as_row[1],
            jnp.ones((1,), bool),
            jnp.broadcast_to(jnp.asarray(now.shared_rate), (1,)),
        )
        measured = state.patches.measured
        if recipe.norm in MEASURING:
            measured = _measure(measured, moments, present, recipe.statistics_decay)
        new = State(
            state.step + 1,
            state.patches._replace(trained=patches, measured=measured),
            head,
            auxiliary,
            jax.tree.map(lambda x: x[0], moved),
            (patch_state, head_state, shared_state),
        )
        return new, metrics

    everywhere, by_group = (
        NamedSharding(mesh, PartitionSpec()),
        NamedSharding(mesh, PartitionSpec("data")),
    )
    batch_sharding: Any = (by_group, by_group, by_group, everywhere, by_group)
    compiled_init = jax.jit(init, out_shardings=everywhere)
    compiled = jax.jit(
        step,
        in_shardings=(everywhere, everywhere, Batch(*batch_sharding), everywhere, everywhere),
        out_shardings=everywhere,
        donate_argnums=0,
    )

    def checked_step(
        state: State, weights: Weights, batch: Batch, key: jax.Array
    ) -> tuple[State, Metrics]:
        ids = np.asarray(batch.tasks)
        if ids.min() < 0 or ids.max() >= tasks_total:
            raise TaskIdError(f"task ids {ids.tolist()} must lie in 0..{tasks_total - 1}.")
        return compiled(state, weights, batch, schedule(recipe, int(state.step)), key)

    return Trainer(compiled_init, checked_step)


def auxiliary_widths(backbone: Backbone, patch: Patch, weights: Weights) -> dict[str, int]:
    """Features of each auxiliary prediction that `patch` makes of one image, by name."""

    def look(weights: Weights) -> Prepared:
        patched = patch.apply(weights, patch.init(jax.random.key(0), weights), {})
        image = jnp.zeros((32, 32, 3), jnp.float32)
        return patch.prepare(patched, image, {"backbone": backbone})

    seen = jax.eval_shape(look, weights)
    return {name: made.features.shape[-1] for name, made in seen.auxiliary.items()}


def _measure(measured: Any, moments: Weights, present: jax.Array, decay: float) -> Any:
    def one(here: jax.Array, old: Any, own_moments: Weights) -> Any:
        new = measure(old, own_moments, decay)
        return jax.tree.map(lambda fresh, stale: jnp.where(here, fresh, stale), new, old)

    return jax.vmap(one)(present, measured, moments)


def _last(values: jax.Array) -> jax.Array:
    return values.reshape(1, 1, 1, 1, -1)
