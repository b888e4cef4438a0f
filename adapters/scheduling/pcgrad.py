"""Gradients of shared weights without what works against another task's."""

import jax
import jax.numpy as jnp

from adapters.scheduling.contract import Combine


def pcgrad() -> Combine:
    """From each task's gradient, takes its part against each other's, in random order; adds up.

    Yu et al., "Gradient Surgery for Multi-Task Learning", arXiv 2001.06782, algorithm 1. Every
    vector is a combination of the tasks' gradients, so that their products [T, T] decide all: no
    gradient is touched but once, in the sum.
    """

    def combine(products: jax.Array, key: jax.Array) -> jax.Array:
        tasks = products.shape[0]

        def one(task: jax.Array, key: jax.Array) -> jax.Array:
            def without(own: jax.Array, other: jax.Array) -> tuple[jax.Array, None]:
                along = own @ products[other]
                length = products[other, other]
                against = (along < 0) & (other != task) & (length > 0)
                share = jnp.where(against, along / jnp.where(length > 0, length, 1), 0)
                return own.at[other].add(-share), None

            own = (jnp.arange(tasks) == task).astype(products.dtype)
            return jax.lax.scan(without, own, jax.random.permutation(key, tasks))[0]

        return jnp.sum(jax.vmap(one)(jnp.arange(tasks), jax.random.split(key, tasks)), axis=0)

    return combine
