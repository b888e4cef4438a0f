"""Gradients of shared weights along which no task's loss rises."""

import jax
import jax.numpy as jnp

from adapters.scheduling.contract import Combine

REGULARISED = 1e-4  # as the authors' library: relative to the mean squared length
ROUNDS = 300


def upgrad() -> Combine:
    """Projects each task's gradient onto what harms no task, and adds the projections up.

    Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", arXiv 2406.16232, section
    4: the projection onto the dual cone of the gradients is the combination v >= e_i, of least
    length, of the gradients; the rule that their library TorchJD recommends. Ours: the quadratic
    programs are solved by a fixed number of accelerated projected gradient steps (Beck and
    Teboulle, 2009), so that they compile; they are added, not averaged, to agree with plain adding
    where nothing conflicts.
    """

    def combine(products: jax.Array, key: jax.Array) -> jax.Array:
        del key
        tasks = products.shape[0]
        unit = jnp.eye(tasks, dtype=products.dtype)
        size = jnp.maximum(jnp.trace(products) / tasks, 1e-30)
        scaled = products / size + REGULARISED * unit
        step = 1 / jnp.max(jnp.sum(jnp.abs(scaled), axis=1))  # above the largest eigenvalue

        def round_(
            carried: tuple[jax.Array, jax.Array], number: jax.Array
        ) -> tuple[tuple[jax.Array, jax.Array], None]:
            now, ahead = carried
            new = jnp.maximum(ahead - step * ahead @ scaled, unit)
            momentum = number / (number + 3)
            return (new, new + momentum * (new - now)), None

        numbers = jnp.arange(ROUNDS, dtype=products.dtype)
        (solved, _), _ = jax.lax.scan(round_, (unit, unit), numbers)
        return jnp.sum(solved, axis=0)

    return combine
