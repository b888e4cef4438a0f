"""An optimiser whose state never moves for tasks absent from a batch.

Everything per-task stands in tables with rows on the first axis: a patch's leaves have one row a
task, the wide head one row a class. Each row carries its own optimiser state, step count included,
so that Adam's bias correction follows the task's own history; rows whose task is absent keep
parameters and state to the bit. Learning rates follow the run's global progress.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from adapters.training.tables import flattened


class RowOptimiser(NamedTuple):
    """An optax transformation mapped over rows.

    Attributes:
      init: (params, each leaf [R, ...]; R) -> state, each leaf [R, ...].
      update: (gradients, state, params, present [R] bool, rates) -> (params, state). `rates` is a
        tree prefix of `params`, of learning rates [R].
    """

    init: Callable[[Any, int], Any]
    update: Callable[[Any, Any, Any, jax.Array, Any], tuple[Any, Any]]


def by_row(transformation: optax.GradientTransformation) -> RowOptimiser:
    """Maps an elementwise transformation over rows; its updates are scaled by minus the rates."""

    def init(params: Any, rows: int) -> Any:
        return jax.vmap(lambda _, row: transformation.init(flattened(row)))(
            jnp.arange(rows), params
        )

    def update(
        gradients: Any, state: Any, params: Any, present: jax.Array, rates: Any
    ) -> tuple[Any, Any]:
        def one(
            here: jax.Array, gradient: Any, old_state: Any, old: Any, rates: Any
        ) -> tuple[Any, Any]:
            flat, restored = ravel_pytree(old)
            direction, new_state = transformation.update(flattened(gradient), old_state, flat)

            def keep(fresh: jax.Array, stale: jax.Array) -> jax.Array:
                return jnp.where(here, fresh, stale)

            kept = keep(flat - spread(rates, old) * direction, flat)
            return restored(kept), jax.tree.map(keep, new_state, old_state)

        # Optax's own arithmetic mixes dtypes; ours does not.
        with jax.numpy_dtype_promotion("standard"):
            return jax.vmap(one)(present, gradients, state, params, rates)

    return RowOptimiser(init, update)


def spread(rates: Any, row: Any) -> jax.Array:
    """What `flattened(row)` is multiplied by, for a tree prefix of scalars: one, or a vector."""
    if jax.tree_util.all_leaves([rates]):
        return rates
    full = jax.tree.map(
        lambda rate, part: jax.tree.map(lambda leaf: jnp.broadcast_to(rate, leaf.shape), part),
        rates,
        row,
    )
    return flattened(full)


def adam(weight_decay: float = 0.0) -> RowOptimiser:
    """AdamW by rows (Loshchilov and Hutter, arXiv 1711.05101).

    Decay suits heads, which start at zero. Patches start from pretrained values and should not be
    pulled to zero (a norm's scale at zero kills its channel): leave theirs at 0.
    """
    return by_row(optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(weight_decay)))


def warm_cosine(progress: float, peak: float, warmup: float) -> float:
    """Learning rate at `progress` in [0, 1]: linear to `peak` over the share `warmup`, then cosine.

    Loshchilov and Hutter, arXiv 1608.03983, without restarts.
    """
    if progress < warmup:
        return peak * progress / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
