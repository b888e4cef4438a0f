"""Tasks that train on a part of their images: how much data does it take?"""

import dataclasses
import hashlib
import math
from collections.abc import Sequence

from tasks.of_another import OfAnother, changed
from tasks.task import Examples, ImageFileExamples, Task


def with_share(tasks: Sequence[Task], share: float, seed: int) -> tuple[Task, ...]:
    """The tasks, each with `share` of its training images; other splits are whole.

    Which images are kept is told by their names and `seed` alone: tasks with the same images keep
    the same ones, and of two shares the smaller is part of the larger. So a rare class may be left
    without any.

    Args:
      tasks: any.
      share: above 0, at most 1; a task keeps one image or more.
      seed: another one keeps others.
    """
    if share == 1:
        return tuple(tasks)
    return tuple(
        dataclasses.replace(task, source=Part(task, share=share, seed=seed)) for task in tasks
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part(OfAnother):
    """A source with a share of the training images of another; see `with_share`."""

    share: float
    seed: int

    def of_split(self, examples: Examples, task: Task, split: str) -> Examples:
        """The part of a split, in its order."""
        del task
        if split != "train":
            return examples
        if isinstance(examples, ImageFileExamples):
            names = [examples.known(index)["name"] for index in range(len(examples))]
        else:
            names = [example["name"] for example in examples]
        count = math.ceil(self.share * len(names))
        hashes = [hashlib.sha256(f"{self.seed} {name}".encode()).digest() for name in names]
        return changed(examples, sorted(sorted(range(len(names)), key=hashes.__getitem__)[:count]))
