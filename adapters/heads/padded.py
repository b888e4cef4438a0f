"""Heads of many tasks in one batch where they are no one matrix product: a padded row a task.

Each leaf of the table is as large as the largest task's; what lies beyond a smaller one's own means
nothing. A group of a batch takes the row of its task, and computes no other task's outputs.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from adapters.heads.contract import Array, Arrays, Head


@dataclasses.dataclass(frozen=True)
class PaddedLayout:
    """Which row of a padded table is whose.

    Attributes:
      head: of the kind; what is asked of it must not depend on its settings.
      outputs: of each task's head, in task order; 0 for a task whose head is of another kind.
    """

    head: Head
    outputs: tuple[int, ...]

    @property
    def owners(self) -> np.ndarray:
        """Task of each row: [R] int32."""
        return np.flatnonzero(self.outputs).astype(np.int32)

    def initial(self, channels: Mapping[str, int]) -> dict[str, jax.Array]:
        """What training starts from, [R, ...], for taps of so many channels."""
        first = self._trained.initial(self._trained.shapes(channels, max(self.outputs)))
        rows = len(self.owners)
        return {leaf: jnp.stack([jnp.asarray(value)] * rows) for leaf, value in first.items()}

    def own(self, task: jax.Array) -> jax.Array:
        """Which outputs of a padded row the task has: [outputs] bool."""
        return jnp.arange(max(self.outputs)) < jnp.asarray(self.outputs)[task]

    def predictions(
        self, table: Mapping[str, jax.Array], taps: Mapping[str, jax.Array], task: jax.Array
    ) -> dict[str, jax.Array]:
        """What the head of `task` says of one image; outputs beyond its own mean nothing."""
        row = jnp.searchsorted(jnp.asarray(self.owners), task)
        return self._trained.apply({leaf: rows[row] for leaf, rows in table.items()}, taps)

    def targets(self, task: int, targets: Arrays) -> dict[str, Array]:
        """A task's targets as the loss wants them, of one shape for all tasks of the kind.

        A teacher's, and what else has a value for each output, get zeros beyond the task's own.
        """
        missing = max(self.outputs) - self.outputs[task]
        found = {}
        for name, values in targets.items():
            known = self.head.targets.get(name)
            axes = np.ndim(values)
            padding = [(0, 0)] * (axes - 1) + [(0, missing)]
            wide = known is None or known.per == "output"
            found[name] = np.pad(values, padding) if wide else np.asarray(values)
        return found

    def with_weights(
        self, table: Mapping[str, jax.Array], task: int, weights: Mapping[str, Array]
    ) -> dict[str, jax.Array]:
        """The table with one task's head, as a file names its parts, in its row."""
        row = int(np.searchsorted(self.owners, task))
        return {
            leaf: rows.at[row, *map(slice, weights[leaf].shape)].set(weights[leaf])
            for leaf, rows in table.items()
        }

    def weights(self, table: Mapping[str, jax.Array], task: int) -> dict[str, Array]:
        """One task's head, as a file names its parts, without the padding.

        Nor with what only training has.
        """
        row = int(np.searchsorted(self.owners, task))
        channels = self.head.channels({leaf: rows.shape[1:] for leaf, rows in table.items()})
        shapes = self.head.shapes(channels, self.outputs[task])
        return {
            leaf: np.ascontiguousarray(
                np.asarray(table[leaf][row])[tuple(slice(size) for size in shape)]
            )
            for leaf, shape in shapes.items()
        }

    @property
    def _trained(self) -> Head:
        return self.head.in_training or self.head
