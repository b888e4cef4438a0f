"""Linear classification heads of many tasks in one batch.

All heads stand in one wide matrix, of which each task owns a run of rows (one row a class). One
matrix product gives every task's logits; those outside an example's own run are masked, and get
exactly zero gradient. The ten Visual Decathlon heads are 3,128 rows.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from adapters.errors import ModelPatchError

Head = dict[str, jax.Array]  # `w` [rows, features] and `b` [rows]
MASKED = -1e9  # a logit that no softmax sees: exp(MASKED - any) is 0 in float32


class HeadCapacityError(ModelPatchError):
    """More classes than the table was made for."""


@dataclasses.dataclass(frozen=True)
class HeadLayout:
    """Which rows of the wide head are whose.

    Attributes:
      classes: width of each task's head, in task order.
      capacity: rows of the table, at least the sum; rows beyond it belong to nobody.
    """

    classes: tuple[int, ...]
    capacity: int

    def __post_init__(self) -> None:
        if sum(self.classes) > self.capacity:
            raise HeadCapacityError(
                f"the heads need {sum(self.classes)} classes but the table holds {self.capacity}; "
                "make it larger."
            )

    @property
    def starts(self) -> np.ndarray:
        """First row of each task: [T] int32."""
        return np.cumsum((0, *self.classes[:-1])).astype(np.int32)

    @property
    def owners(self) -> np.ndarray:
        """Task of each row: [capacity] int32, -1 where a row is nobody's."""
        owned = np.repeat(np.arange(len(self.classes)), self.classes)
        free = np.full(self.capacity - owned.size, -1)
        return np.concatenate([owned, free]).astype(np.int32)

    def rows(self, task: int) -> slice:
        """The rows of one task."""
        start = int(self.starts[task])
        return slice(start, start + self.classes[task])


def layout(classes: Sequence[int], capacity: int | None = None) -> HeadLayout:
    """A layout for heads of these widths, with room for `capacity` classes (default: no spare).

    >>> layout((10, 2)).starts
    array([ 0, 10], dtype=int32)
    """
    return HeadLayout(tuple(classes), sum(classes) if capacity is None else capacity)


def initial(rows: int, features: int) -> Head:
    """A head that favours no class: `w` [rows, features] and `b` [rows], zeros."""
    return {
        "w": jnp.zeros((rows, features), jnp.float32),
        "b": jnp.zeros((rows,), jnp.float32),
    }


def logits(head: Head, features: jax.Array, own: jax.Array) -> jax.Array:
    """Logits [rows] of one example's features [C]; masked where `own` [rows] is False."""
    wide = head["w"] @ features + head["b"]
    return jnp.where(own, wide, jnp.asarray(MASKED, wide.dtype))


def cross_entropy(
    logits: jax.Array, label: jax.Array, own: jax.Array, smoothing: float
) -> jax.Array:
    """Softmax cross-entropy of one example, in nats.

    Args:
      logits: [rows], masked outside the task's own.
      label: row of the right class, int32 scalar.
      own: [rows], True on the task's own rows.
      smoothing: probability spread evenly over the task's classes (Szegedy et al.,
        arXiv 1512.00567, section 7).
    """
    log_probabilities = jax.nn.log_softmax(logits)
    right = log_probabilities[label]
    zero = jnp.zeros((), logits.dtype)
    mean = jnp.sum(jnp.where(own, log_probabilities, zero)) / jnp.sum(own).astype(logits.dtype)
    return -((1 - smoothing) * right + smoothing * mean)


def distilled(logits: jax.Array, teacher: jax.Array) -> jax.Array:
    """Cross-entropy of one example against a teacher's probabilities, in nats.

    Args:
      logits: [rows], masked outside the task's own.
      teacher: [rows], zero outside the task's own.
    """
    return -jnp.sum(teacher * jax.nn.log_softmax(logits))
