"""The heads of a run's tasks, and how those of a kind stand in one batch."""

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import jax
import numpy as np

from adapters.heads.contract import Array, Arrays, Head, HeadSettingError
from adapters.heads.padded import PaddedLayout
from adapters.heads.wide import layout

Table = dict[str, jax.Array]
"""The heads of one kind: leaves [R, ...], each row a task's or a part of one."""


class Layout(Protocol):
    """Which rows of a table are whose, and what a task's own are good for.

    Attributes:
      outputs: of each task's head, in task order; 0 for a task whose head is of another kind.
      owners: the task of each row, [R] int32; -1 where a row is nobody's.
    """

    @property
    def outputs(self) -> tuple[int, ...]: ...

    @property
    def owners(self) -> np.ndarray: ...

    def initial(self, channels: Mapping[str, int]) -> Table: ...

    def own(self, task: jax.Array) -> jax.Array: ...

    def predictions(
        self, table: Table, taps: Mapping[str, jax.Array], task: jax.Array
    ) -> dict[str, jax.Array]: ...

    def targets(self, task: int, targets: Arrays) -> dict[str, Array]: ...

    def weights(self, table: Table, task: int) -> dict[str, Array]: ...


@dataclasses.dataclass(frozen=True)
class TaskHeads:
    """The heads of a run's tasks, in task order.

    Attributes:
      heads: of each task.
      outputs: their widths.

    Raises HeadSettingError where heads of one kind read different maps, or where `padded` ones have
    other settings: one program makes their predictions.
    """

    heads: tuple[Head, ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        for kind in self.kinds:
            read = {head.taps for head in self.heads if head.kind == kind}
            if len(read) > 1:
                listed = " and ".join(sorted(", ".join(taps) for taps in read))
                raise HeadSettingError(
                    f"tasks with the head {kind} read the maps {listed}: one step can give them "
                    "one set of maps. Choose the same for all, or train them in runs of their own."
                )
            padded = [h for h in self.heads if h.kind == kind and h.together == "padded"]
            if any(head.settings != padded[0].settings for head in padded):
                listed = " and ".join(sorted({str(dict(head.settings)) for head in padded}))
                raise HeadSettingError(
                    f"tasks with the head {kind} have the settings {listed}: one step has one. "
                    "Choose the same for all, or train them in runs of their own."
                )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds among them, sorted; a batch holds tasks of one."""
        return tuple(sorted({head.kind for head in self.heads}))

    @property
    def taps(self) -> frozenset[str]:
        """The maps that any of them reads."""
        return frozenset(name for head in self.heads for name in head.taps)

    def layout(self, kind: str) -> Layout:
        """How the heads of one kind stand in a batch."""
        pairs = zip(self.heads, self.outputs, strict=True)
        outputs = tuple(width if head.kind == kind else 0 for head, width in pairs)
        head = self.of_kind(kind)
        return PaddedLayout(head, outputs) if head.together == "padded" else layout(outputs)

    def of_kind(self, kind: str) -> Head:
        """A head of the kind: what is asked of it must not depend on its settings."""
        return next(head for head in self.heads if head.kind == kind)

    def placed(self, task: int, targets: Arrays) -> dict[str, Array]:
        """A task's targets as the loss wants them, of one shape for all tasks of the kind."""
        head = self.heads[task]
        return self.layout(head.kind).targets(task, head.standardised(targets))
