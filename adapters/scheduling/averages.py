"""Averages that follow a signal from step to step, and shares of a sum."""

import jax
import jax.numpy as jnp

FOLLOWED = 0.05
"""How far one step moves an average: it remembers some twenty steps of its task."""


def followed(average: jax.Array, now: jax.Array, present: jax.Array) -> jax.Array:
    """The averages [T] after a step; those of absent tasks stay."""
    return jnp.where(present, average + FOLLOWED * (now - average), average)


def shared_out(shares: jax.Array) -> jax.Array:
    """Weights [T] of sum T in the proportions of `shares`, all above 0."""
    return shares * (shares.size / jnp.sum(shares))
