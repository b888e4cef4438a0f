"""One set of images with its classes at several levels: species and genus, subgroup and group.

The levels are said by the examples' names, `living/Animals & Nature/animal-bird/train-0012`, say,
as folders in folders would say them: one part of it is the class of each level. So the tasks of all
levels have the same images in the same splits, and `plain`, the task that they are made of, may
know more of an image, where its object is for one, that none of them is ever told.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from tasks.of_another import OfAnother, changed
from tasks.task import Examples, Task, TaskError


def at_level(plain: Task, depth: int, name: str, labels: tuple[str, ...], **fields: Any) -> Task:
    """A classifier's task of the images of `plain`.

    Args:
      plain: whose examples' names begin with a class a level, with `/` between.
      depth: which of them, 0 being the first.
      name: of the new task.
      labels: all classes of that level.
      fields: others of a `Task`, which are otherwise those of `plain`.

    Raises TaskError, when it is opened, for an example whose name says no such class.
    """
    source = Level(plain, depth=depth)
    own = {"name": name, "labels": labels, "source": source, "head": "classification"}
    return dataclasses.replace(plain, **{**own, **fields})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Level(OfAnother):
    """A source with the images of another task, each with a part of its name as its class."""

    depth: int

    def of_split(self, examples: Examples, task: Task, split: str) -> Examples:
        """All of a split, with their classes in the place of what the plain task knows."""
        del split
        hidden = tuple(self.plain.made_head.targets)
        numbers = {label: number for number, label in enumerate(task.labels)}
        change = functools.partial(_labelled, self.depth, numbers, hidden)
        return changed(examples, change=change)


def _labelled(
    depth: int, numbers: Mapping[str, int], hidden: tuple[str, ...], example: Mapping[str, Any]
) -> dict[str, Any]:
    parts = example["name"].split("/")
    label = parts[depth] if depth < len(parts) - 1 else ""
    if label not in numbers:
        raise TaskError(
            f"the example {example['name']!r} says {label!r} at level {depth}, which is none of "
            f"the {len(numbers)} classes: mend its name, or the labels."
        )
    kept = {name: value for name, value in example.items() if name not in hidden}
    return {**kept, "label": numbers[label]}
