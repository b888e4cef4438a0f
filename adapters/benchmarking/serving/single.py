"""Networks of one task each: what a server has that does not mix tasks in a batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adapters.backbones.builder import Backbone
from adapters.errors import UnknownNameError
from adapters.heads import linear
from adapters.heads.registry import head_of
from adapters.inference.compiled import Array, Weights, inference
from adapters.preprocessing import Preprocessing
from adapters.serving.batching import Batcher
from adapters.serving.contract import Answer, Queue
from adapters.serving.network import Example, Task
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits

# Of every server, as launch/serve --batches: a batch of few is not filled up with many.
BATCHES = (1, 2, 4, 8, 16)


class SingleTaskNetworks:
    """Networks that each answer for one task; one program, compiled once, runs them all.

    Args:
      backbone: the network.
      weights: of it.
      patches: of the tasks, of one image size.
      batches: numbers of images that programs are compiled for; others are filled up.
      copied: whether each holds all of its weights, as separate models do; otherwise they share
        what their patches leave as it is.
    """

    def __init__(
        self,
        backbone: Backbone,
        weights: Weights,
        patches: Sequence[PatchContents],
        batches: Sequence[int],
        *,
        copied: bool,
    ):
        how = [Preprocessing.from_json(contents.preprocessing) for contents in patches]
        self.capacity, self.batches = len(patches), tuple(sorted(batches))
        self.tasks: Mapping[str, Task] = {
            contents.task: Task(contents, head_of(contents), preprocessing, row)
            for row, (contents, preprocessing) in enumerate(zip(patches, how, strict=True))
        }
        self._size = how[0].size
        self._programs = {count: inference(backbone, count, self._size) for count in self.batches}
        shared = jax.tree.map(jnp.array, {path: dict(own) for path, own in weights.items()})
        self._weights: list[Any] = []
        for contents in patches:
            patched = apply_edits(weights, contents.edits)
            self._weights.append(
                {
                    path: {
                        name: shared[path][name]
                        if leaf is weights[path].get(name) and not copied
                        else jnp.array(leaf)
                        for name, leaf in own.items()
                    }
                    for path, own in patched.items()
                }
            )

    def task(self, name: str) -> Task:
        """Raises UnknownNameError when there is no such task."""
        if name not in self.tasks:
            raise UnknownNameError("installed task", name, self.tasks)
        return self.tasks[name]

    def compile(self) -> None:
        """Compiles the program of every batch."""
        for count, program in self._programs.items():
            images = np.zeros((count, self._size, self._size, 3), np.float32)
            jax.block_until_ready(program.features(self._weights[0], {"image": images}))

    def predictions(self, examples: Sequence[Example]) -> list[dict[str, Array] | None]:
        """What the head says of each image; all are of the first one's task."""
        task = examples[0].task
        count = next(batch for batch in self.batches if batch >= len(examples))
        images = np.zeros((count, self._size, self._size, 3), np.float32)
        images[: len(examples)] = [example.image for example in examples]
        program, inputs = self._programs[count], {"image": images}
        features = np.asarray(program.features(self._weights[task.row], inputs))
        head = task.contents.head
        return [task.head.apply(head, {linear.FEATURES: own}) for own in features[: len(examples)]]


def task_of(example: Example) -> str:
    """The task whose batch an example may join."""
    return example.task.contents.task


class QueuePerTask:
    """A batcher for each task: their batches are answered at once, each in a thread of its own.

    Args:
      answer, most, queue: see `Batcher`.
    """

    def __init__(self, answer: Answer, most: int, queue: int):
        self._make: Callable[[], Batcher[Example, dict[str, Array] | None]] = lambda: Batcher(
            answer, most, queue
        )
        self._batchers: dict[str, Batcher[Example, dict[str, Array] | None]] = {}

    @property
    def waiting(self) -> int:
        return sum(batcher.waiting for batcher in self._batchers.values())

    def start(self) -> None:
        """Each batcher starts with its task's first image."""

    async def ask(self, item: Example) -> dict[str, Array] | None:
        name = task_of(item)
        if name not in self._batchers:
            self._batchers[name] = self._make()
            self._batchers[name].start()
        return await self._batchers[name].ask(item)

    async def close(self) -> None:
        for batcher in self._batchers.values():
            await batcher.close()


QUEUES: Mapping[str, Callable[[Answer, int, int], Queue]] = {
    "one_task": lambda answer, most, queue: Batcher(answer, most, queue, task_of),
    "networks": QueuePerTask,
}
