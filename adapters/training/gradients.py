"""From the losses of a batch's groups to gradients: the place of rules for shared weights.

A rule is a function of (losses, trained) -> (gradients like `trained`, what `losses` said beside).
`losses` maps `trained` to (the groups' weighted losses [G], anything). What tasks own is touched by
their own groups alone, so that rules differ in what they make of shared leaves.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Losses = Callable[[Any], tuple[jax.Array, Any]]
Rule = Callable[[Losses, Any], tuple[Any, Any]]


def plain_sum(losses: Losses, trained: Any) -> tuple[Any, Any]:
    """The gradient of the groups' mean loss: every group's own, added up."""

    def mean(trained: Any) -> tuple[jax.Array, Any]:
        found, beside = losses(trained)
        return jnp.mean(found), beside

    return jax.grad(mean, has_aux=True)(trained)
