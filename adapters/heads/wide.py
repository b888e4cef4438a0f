"""Linear heads of many tasks in one batch.

All heads of a kind stand in one wide matrix, of which each task owns a run of rows (one row an
output). One matrix product gives every task's outputs; those outside an example's own run are
masked, and get exactly zero gradient. The ten Visual Decathlon heads are 3,128 rows.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from adapters.errors import ModelPatchError
from adapters.heads.contract import Array, Arrays
from adapters.heads.linear import FEATURES, LOGITS

WideHead = dict[str, jax.Array]  # `w` [rows, features] and `b` [rows]
MASKED = -1e9  # a logit that no softmax sees: exp(MASKED - any) is 0 in float32


class HeadCapacityError(ModelPatchError):
    """More outputs than the table was made for."""


@dataclasses.dataclass(frozen=True)
class HeadLayout:
    """Which rows of a wide head are whose.

    Attributes:
      outputs: width of each task's head, in task order; 0 for a task whose head is of another kind.
      capacity: rows of the table, at least the sum; rows beyond it belong to nobody.
    """

    outputs: tuple[int, ...]
    capacity: int

    def __post_init__(self) -> None:
        if sum(self.outputs) > self.capacity:
            raise HeadCapacityError(
                f"the heads need {sum(self.outputs)} rows but the table holds {self.capacity}; "
                "make it larger."
            )

    @property
    def starts(self) -> np.ndarray:
        """First row of each task: [T] int32."""
        return np.cumsum((0, *self.outputs[:-1])).astype(np.int32)

    @property
    def owners(self) -> np.ndarray:
        """Task of each row: [capacity] int32, -1 where a row is nobody's."""
        owned = np.repeat(np.arange(len(self.outputs)), self.outputs)
        free = np.full(self.capacity - owned.size, -1)
        return np.concatenate([owned, free]).astype(np.int32)

    def rows(self, task: int) -> slice:
        """The rows of one task."""
        start = int(self.starts[task])
        return slice(start, start + self.outputs[task])

    def initial(self, channels: Mapping[str, int]) -> WideHead:
        """A table that favours no output, for so many `features`."""
        return initial(self.capacity, channels[FEATURES])

    def own(self, task: jax.Array) -> jax.Array:
        """Which rows the task has: [capacity] bool."""
        return jnp.asarray(self.owners) == task

    def predictions(
        self, table: WideHead, taps: Mapping[str, jax.Array], task: jax.Array
    ) -> dict[str, jax.Array]:
        """What the head of `task` says of one image, in its rows; others are masked."""
        return predictions(table, taps, self.own(task))

    def targets(self, task: int, targets: Arrays) -> dict[str, Array]:
        """A task's targets {name: [E] or [E, outputs]} as the loss wants them, of one shape a kind.

        A scalar that counts the task's outputs becomes a row of the wide head; what has a value
        for each output is spread over its rows, [E, rows], 0 elsewhere.
        """
        found = {}
        for name, values in targets.items():
            values = np.asarray(values)
            if values.ndim == 1:
                found[name] = (values + self.starts[task]).astype(values.dtype)
            else:
                found[name] = np.zeros((len(values), self.capacity), values.dtype)
                found[name][:, self.rows(task)] = values
        return found

    def weights(self, table: WideHead, task: int) -> dict[str, Array]:
        """One task's head, as a file names its parts: `w` [features, outputs], `b` [outputs]."""
        own = self.rows(task)
        return {leaf: np.ascontiguousarray(np.asarray(rows[own]).T) for leaf, rows in table.items()}


def layout(outputs: Sequence[int], capacity: int | None = None) -> HeadLayout:
    """A layout for heads of these widths, with room for `capacity` outputs (default: no spare).

    >>> layout((10, 2)).starts
    array([ 0, 10], dtype=int32)
    """
    return HeadLayout(tuple(outputs), sum(outputs) if capacity is None else capacity)


def initial(rows: int, features: int) -> WideHead:
    """A head that favours no output: `w` [rows, features] and `b` [rows], zeros."""
    return {
        "w": jnp.zeros((rows, features), jnp.float32),
        "b": jnp.zeros((rows,), jnp.float32),
    }


def predictions(
    head: WideHead, taps: Mapping[str, jax.Array], own: jax.Array
) -> dict[str, jax.Array]:
    """`logits` [rows] of one example's `features` [F]; masked where `own` [rows] is False."""
    wide = head["w"] @ taps[FEATURES] + head["b"]
    return {LOGITS: jnp.where(own, wide, jnp.asarray(MASKED, wide.dtype))}
