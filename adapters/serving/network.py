"""One compiled network that answers for every installed task, in batches of mixed tasks.

What tasks own stands in tables, leaves [capacity, ...]; an example takes its task's row, as in
training. Tables and weights are arguments, so that adding and removing tasks compiles nothing.
"""

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from adapters.backbones.builder import Backbone
from adapters.errors import ModelPatchError, UnknownNameError
from adapters.inference.compiled import inference, parity_check
from adapters.preprocessing import Preprocessing
from adapters.store.contents import PatchContents, check_without_look
from adapters.store.edits import apply_edits

Array = npt.NDArray[Any]
Weights = Mapping[str, Mapping[str, Array]]
Tabled = Literal["norms", "depthwise", "everything"]

_NORM = ("scale", "offset", "mean", "var")
_TABLED: Mapping[Tabled, Callable[[str, str], bool]] = {
    "norms": lambda path, name: name in _NORM,
    "depthwise": lambda path, name: name in _NORM or path.endswith("depthwise"),
    "everything": lambda path, name: True,
}
TABLED: tuple[Tabled, ...] = tuple(_TABLED)


class FullError(ModelPatchError):
    """As many tasks are installed as there are rows."""


class UnservedPatchError(ModelPatchError):
    """A patch that this server's tables or its image size cannot hold."""


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """An installed task: its patch's card and head, and its row of the tables."""

    contents: PatchContents
    preprocessing: Preprocessing
    row: int


class Example(NamedTuple):
    """An image to classify: [size, size, 3] float32, normalised as its task says."""

    task: Task
    image: Array


class _Installed(NamedTuple):
    """What is installed at one moment; replaced whole, so that no reader sees half a change."""

    tables: Any
    tasks: Mapping[str, Task]


class MixedNetwork:
    """A backbone, and tables with a row for each of `capacity` tasks.

    Safe to use from several threads: whoever answers keeps the tables that it began with.

    Args:
      backbone: the network.
      weights: of it, frozen.
      size: side of its images, in pixels; patches of another size are refused.
      capacity: tasks that fit.
      batches: numbers of images that programs are compiled for; others are filled up.
      tabled: which leaves may be a task's own: of `norms`, of depthwise kernels too, or of
        `everything`, which costs a whole network's memory a task.
    """

    def __init__(
        self,
        backbone: Backbone,
        weights: Weights,
        size: int,
        capacity: int,
        batches: Sequence[int] = (1, 4, 16),
        tabled: Tabled = "norms",
    ):
        self.size, self.batches, self.capacity = size, tuple(sorted(batches)), capacity
        self._weights = {path: dict(leaves) for path, leaves in weights.items()}
        self._shared = jax.tree.map(jnp.asarray, self._weights)
        self._is_tabled = _TABLED[tabled]
        self._tabled = tabled
        rows = {
            path: {
                name: np.repeat(leaf[None], capacity, axis=0)
                for name, leaf in leaves.items()
                if self._is_tabled(path, name)
            }
            for path, leaves in self._weights.items()
        }
        tables = jax.tree.map(jnp.asarray, {path: own for path, own in rows.items() if own})
        self._installed = _Installed(tables, {})
        self._changing = threading.Lock()
        self._alone = inference(backbone, 1, size)
        self._check_parity = parity_check(self._alone, self._weights)
        self._features = jax.jit(_mixed(backbone))

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The installed tasks by name."""
        return self._installed.tasks

    def task(self, name: str) -> Task:
        """Raises UnknownNameError when no such task is installed."""
        tasks = self._installed.tasks
        if name not in tasks:
            raise UnknownNameError("installed task", name, tasks)
        return tasks[name]

    def compile(self) -> None:
        """Compiles every program that answering and installing need, so that nobody waits."""
        image = np.zeros((1, self.size, self.size, 3), np.float32)
        jax.block_until_ready(self._alone.features(self._weights, image))
        for count in self.batches:
            rows = np.zeros(count, np.int32)
            images = np.zeros((count, self.size, self.size, 3), np.float32)
            tables = self._installed.tables
            jax.block_until_ready(self._features(self._shared, tables, rows, images))

    def check(self, contents: PatchContents) -> None:
        """Whether `add` would take a patch that has passed every other check of `read_patch`.

        Raises:
          UnservedPatchError: the tables have no room for such edits, or the image size differs.
          FullError: no row is free.
          ParityError: the patched network does not give the logits that the file states.
          LooksFirstError: the patch looks at an image before its network does.
        """
        self._checked(contents)

    def add(self, contents: PatchContents) -> None:
        """Installs a patch, or another version of an installed task's. Raises as `check` does."""
        preprocessing, patched = self._checked(contents)
        with self._changing:
            before = self._installed
            row = self._row(contents.task)
            tables = {
                path: {
                    name: _with_row(table, row, patched[path][name])
                    for name, table in leaves.items()
                }
                for path, leaves in before.tables.items()
            }
            task = Task(contents, preprocessing, row)
            self._installed = _Installed(tables, {**before.tasks, contents.task: task})

    def remove(self, name: str) -> None:
        """Frees a task's row. Raises UnknownNameError."""
        with self._changing:
            self.task(name)
            tables, tasks = self._installed
            others = {key: task for key, task in tasks.items() if key != name}
            self._installed = _Installed(tables, others)

    def logits(self, examples: Sequence[Example]) -> list[Array | None]:
        """Each image's logits [classes] under its own task.

        None where the task has been removed or replaced since `task` gave it: its row may be
        another's by now, so whoever asked has to begin again.
        """
        tables, installed = self._installed
        count = next(batch for batch in self.batches if batch >= len(examples))
        rows = np.zeros(count, np.int32)
        rows[: len(examples)] = [example.task.row for example in examples]
        batch = np.zeros((count, self.size, self.size, 3), np.float32)
        batch[: len(examples)] = [example.image for example in examples]
        features = np.asarray(self._features(self._shared, tables, rows, batch))
        answers: list[Array | None] = []
        for (task, _), own in zip(examples, features, strict=False):
            head = task.contents.head
            current = installed.get(task.contents.task) is task
            answers.append(own @ head["w"] + head["b"] if current else None)
        return answers

    def _checked(self, contents: PatchContents) -> tuple[Preprocessing, Weights]:
        """How its images are prepared, and the patched weights, once everything was checked."""
        check_without_look(contents)
        preprocessing = Preprocessing.from_json(contents.preprocessing)
        if preprocessing.size != self.size:
            raise UnservedPatchError(
                f"the patch of {contents.task} takes images of {preprocessing.size} px, this "
                f"server's network takes {self.size}: start another server for that size.",
                settings=["size"],
            )
        image = (self.size, self.size, 3)
        if contents.parity.shape != image:
            raise UnservedPatchError(
                f"the patch of {contents.task} proves itself by an image {contents.parity.shape}, "
                f"this server's are {image}: export it again for {self.size} px."
            )
        patched = apply_edits(self._weights, contents.edits)
        self._check_tables_hold(contents, patched)
        self._row(contents.task)
        self._check_parity(contents)
        return preprocessing, patched

    def _check_tables_hold(self, contents: PatchContents, patched: Weights) -> None:
        for path, leaves in patched.items():
            for name, leaf in leaves.items():
                base = self._weights[path].get(name)
                if base is None:
                    raise UnservedPatchError(
                        f"the patch {contents.patch} of {contents.task} adds {path}/{name}, which "
                        "no table of a server holds: run it by itself, or train another patch."
                    )
                if leaf is not base and not self._is_tabled(path, name):
                    raise UnservedPatchError(
                        f"the patch {contents.patch} of {contents.task} changes {path}/{name}; "
                        f"this server's tables hold {self._tabled}: start it with larger tables.",
                        settings=["tabled"],
                    )

    def _row(self, name: str) -> int:
        """The row of an installed task, or a free one; raises FullError."""
        replaced = self._installed.tasks.get(name)
        if replaced is not None:
            return replaced.row
        taken = {task.row for task in self._installed.tasks.values()}
        free = next((row for row in range(self.capacity) if row not in taken), None)
        if free is None:
            raise FullError(
                f"all {self.capacity} rows are taken: remove a task, or start with a larger "
                "capacity.",
                settings=["capacity"],
            )
        return free


def _with_row(table: jax.Array, row: int, leaf: Array) -> jax.Array:
    """A new table: in numpy, where a row compiles nothing."""
    changed = np.array(table)
    changed[row] = leaf
    return jnp.asarray(changed)


def _mixed(backbone: Backbone) -> Callable[..., jax.Array]:
    """(weights, tables, rows [B], images [B, H, W, 3]) -> features [B, C]."""

    def features(weights: Any, tables: Any, rows: jax.Array, images: jax.Array) -> jax.Array:
        def one(own: Any, image: jax.Array) -> jax.Array:
            patched = {path: {**leaves, **own.get(path, {})} for path, leaves in weights.items()}
            return backbone.apply(patched, image).features

        return jax.vmap(one)(jax.tree.map(lambda table: table[rows], tables), images)

    return features
