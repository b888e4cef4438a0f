"""A step's batch, put together from what each of its groups has read."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from adapters.heads.together import TaskHeads
from adapters.training import matching
from adapters.training.reading import Arrays
from adapters.training.state import Batch

Teacher = Callable[[int, np.ndarray], Arrays]
"""(task, images [E, H, W, 3] uint8) -> what a student learns of them, by the name of the target:
`teacher` [E, outputs], and `matching.MAP` [E, ...] where a map is matched."""


def assembled(
    chosen: np.ndarray,
    parts: Sequence[Arrays],
    own: Sequence[int],
    heads: TaskHeads,
    teacher: Teacher | None,
) -> Batch:
    """The batch of one step.

    Args:
      chosen: [G], the task of each of the step's groups.
      parts: inputs and targets of the groups that this process trains, by name, [E, ...].
      own: their numbers.
      heads: of the tasks.
      teacher: asked for more targets, if there is one.
    """
    inputs, targets = [], []
    for group, read in zip(own, parts, strict=True):
        task, part = int(chosen[group]), dict(read)
        known = {name: part.pop(name) for name in heads.heads[task].targets}
        said = {} if teacher is None else dict(teacher(task, part["image"]))
        maps = {name: said.pop(name) for name in (matching.MAP,) if name in said}
        inputs.append(part)
        targets.append({**heads.placed(task, {**known, **said}), **maps})
    return Batch(chosen, _stacked(inputs), _stacked(targets))


def _stacked(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}
