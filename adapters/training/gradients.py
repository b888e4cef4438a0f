"""From the losses of a batch's groups to gradients, those of shared leaves apart by task.

What tasks own is touched by their own groups alone. What they share gets the sum of all groups'
gradients, unless a rule combines them otherwise or wants to know their lengths: then the shared
leaves in question are given to each group as its own, so that one backward pass tells the groups'
gradients apart. (One pullback a task costs a backward pass a task.) The rules see products of
gradients, [T, T], and no gradient.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.patches.contract import Weights
from adapters.scheduling.contract import Combine
from adapters.training import portions as portions_lib
from adapters.training.tables import membership

Trained = tuple[Any, Any, Weights]
"""What a step trains: the patches' leaves, tables of heads and adaptors, shared leaves."""

Losses = Callable[[Trained, Weights, Any], tuple[jax.Array, Any]]
"""(trained, shared leaves by group [G, ...], examples) -> (weighted losses [G], means)."""


class Found(NamedTuple):
    """What a step's backward pass gives.

    Attributes:
      gradients: like what is trained.
      beside: what the losses said beside themselves.
      products: of the tasks' gradients over the leaves that were told apart, [T, T].
    """

    gradients: Trained
    beside: Any
    products: jax.Array


def find(
    losses: Losses,
    trained: Trained,
    examples: Any,
    portions: int,
    apart: Weights,
    tasks: jax.Array,
    total: int,
    combine: Combine | None,
    key: jax.Array,
) -> Found:
    """The gradients of the groups' mean loss.

    Args:
      losses: of the groups, means over their examples.
      trained: where they are taken.
      examples: of the groups, a tree with leaves [G, E, ...].
      portions: in how many the examples are taken; see `portions`.
      apart: those of the shared leaves whose gradients are told apart by task; often none.
      tasks: [G] int32, the task of each group.
      total: T, of all tasks.
      combine: how the gradients of `apart` become one; None: they are added up.
      key: for `combine`.
    """
    patches, tables, shared = trained
    groups = tasks.shape[0]
    together = _without(shared, apart)
    by_group = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (groups, *leaf.shape)), apart)

    def mean(trained: Trained, by_group: Weights, portion: Any) -> tuple[jax.Array, Any]:
        found, beside = losses(trained, by_group, portion)
        return jnp.mean(found), beside

    slopes = jax.grad(mean, argnums=(0, 1), has_aux=True)
    of_portion = functools.partial(slopes, (patches, tables, together), by_group)
    (own, by_group), beside = portions_lib.mean(of_portion, examples, portions)
    of_tasks = membership(tasks, total)
    products = of_tasks @ _products(by_group, groups) @ of_tasks.T
    coefficients = jnp.ones(total) if combine is None else combine(products, key)
    summed = jax.tree.map(lambda leaf: jnp.tensordot(coefficients[tasks], leaf, axes=1), by_group)
    return Found((own[0], own[1], _merged(shared, own[2], summed)), beside, products)


def _products(by_group: Weights, groups: int) -> jax.Array:
    """Of every two groups' gradients, [G, G]."""
    flat = [leaf.reshape(groups, -1) for leaf in jax.tree.leaves(by_group)]
    return sum((leaf @ leaf.T for leaf in flat), start=jnp.zeros((groups, groups)))


def _without(shared: Weights, apart: Weights) -> Weights:
    return {
        path: {name: leaf for name, leaf in leaves.items() if name not in apart.get(path, {})}
        for path, leaves in shared.items()
    }


def _merged(shared: Weights, *parts: Weights) -> Weights:
    """The leaves of `parts` in the order of `shared`."""
    return {
        path: {name: leaf for part in parts for name, leaf in part.get(path, {}).items()}
        for path in shared
    }
