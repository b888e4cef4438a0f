"""One compiled network that answers for every installed task, in batches of mixed tasks.

What tasks own stands in tables, leaves [capacity, ...]; an example takes its task's row, as in
training. Tables and weights are arguments, so that adding and removing tasks compiles nothing.
"""

import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from adapters.backbones.builder import Backbone
from adapters.errors import ModelPatchError, UnknownNameError
from adapters.heads import linear
from adapters.heads.contract import Head
from adapters.heads.registry import head_of
from adapters.inference.compiled import Inference, inference, parity_check
from adapters.inference.first_look import first_look
from adapters.inference.maps import check_maps
from adapters.modules import kind_of
from adapters.patches.contract import Prepare, no_look
from adapters.patches.forward import forward
from adapters.preprocessing import Preprocessing
from adapters.store.contents import PatchContents, check_without_look
from adapters.store.edits import apply_edits
from adapters.vocabulary import MODULE, NORM

Array = npt.NDArray[Any]
Weights = Mapping[str, Mapping[str, Array]]
Tabled = Literal["norms", "depthwise", "everything"]

_TABLED: Mapping[Tabled, Callable[[Mapping[str, Array], str], bool]] = {
    "norms": lambda leaves, name: name in NORM,
    "depthwise": lambda leaves, name: name in NORM or kind_of(leaves) == "depthwise",
    "everything": lambda leaves, name: True,
}
TABLED: tuple[Tabled, ...] = tuple(_TABLED)


class FullError(ModelPatchError):
    """As many tasks are installed as there are rows."""


class UnservedPatchError(ModelPatchError):
    """A patch that this server's tables or its image size cannot hold."""


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """An installed task: its patch's card, its kind of head, and its row of the tables."""

    contents: PatchContents
    head: Head
    preprocessing: Preprocessing
    row: int


class Example(NamedTuple):
    """An image to answer for: [size, size, 3] float32, normalised as its task says.

    `inputs` are those that the task's patch reads beside it, {name: array}.
    """

    task: Task
    image: Array
    inputs: Mapping[str, Array] = {}

    @property
    def size(self) -> int:
        """Side of the image, in pixels: what the images of a batch have in common."""
        return len(self.image)


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
      sizes: sides of its images, in pixels; patches of other sizes are refused.
      capacity: tasks that fit.
      batches: numbers of images that programs are compiled for; others are filled up.
      tabled: which leaves may be a task's own: of `norms`, of depthwise kernels too, or of
        `everything`, which costs a whole network's memory a task.
      reading: a patch that reads inputs beside the image: then others of the same spec may, too.
      taps: the maps that tasks' heads may read.
    """

    def __init__(
        self,
        backbone: Backbone,
        weights: Weights,
        sizes: Sequence[int],
        capacity: int,
        batches: Sequence[int] = (1, 4, 16),
        tabled: Tabled = "norms",
        reading: PatchContents | None = None,
        taps: Collection[str] = linear.TAPS,
    ):
        self.sizes, self.batches = tuple(sorted(sizes)), tuple(sorted(batches))
        self.capacity = capacity
        self._weights = {path: dict(leaves) for path, leaves in weights.items()}
        self._shared = jax.tree.map(jnp.asarray, self._weights)
        self._is_tabled = _TABLED[tabled]
        self._modules: dict[str, dict[str, Array]] = {}
        self._tabled = tabled
        rows = {
            path: {
                name: np.repeat(leaf[None], capacity, axis=0)
                for name, leaf in leaves.items()
                if self._is_tabled(leaves, name)
            }
            for path, leaves in self._weights.items()
        }
        prepare: Prepare = no_look
        self._reads: str | None = None
        self.inputs: Mapping[str, tuple[int, ...]] = {}
        self._table, self._taps = backbone.table, frozenset(taps)
        self._plain = {size: inference(backbone, 1, size, taps=self._taps) for size in self.sizes}
        self._looking: Mapping[int, Inference] = {}
        if reading is not None:
            prepare, self._reads, self.inputs = first_look(reading), reading.patch, reading.inputs
            self._looking = {
                size: inference(backbone, 1, size, prepare, self._taps) for size in self.sizes
            }
            # A task that reads nothing keeps zeros there, which change nothing.
            self._modules = {
                path: {name: np.zeros_like(leaf) for name, leaf in leaves.items()}
                for path, leaves in reading.edits.get(MODULE, {}).items()
            }
        rows |= {
            path: {name: np.repeat(leaf[None], capacity, axis=0) for name, leaf in leaves.items()}
            for path, leaves in self._modules.items()
        }
        tables = jax.tree.map(jnp.asarray, {path: own for path, own in rows.items() if own})
        self._installed = _Installed(tables, {})
        self._changing = threading.Lock()
        self._maps = jax.jit(_mixed(backbone, prepare, self._taps))

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
        own, tables = {**self._weights, **self._modules}, self._installed.tables
        for size in self.sizes:
            one = self._filled([], 1, size)
            jax.block_until_ready(self._plain[size].taps(self._weights, {"image": one["image"]}))
            if size in self._looking:
                jax.block_until_ready(self._looking[size].taps(own, one))
            for count in self.batches:
                rows, inputs = np.zeros(count, np.int32), self._filled([], count, size)
                jax.block_until_ready(self._maps(self._shared, tables, rows, inputs))

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
                    name: _with_row(table, row, patched.get(path, {}).get(name, 0.0))
                    for name, table in leaves.items()
                }
                for path, leaves in before.tables.items()
            }
            task = Task(contents, head_of(contents), preprocessing, row)
            self._installed = _Installed(tables, {**before.tasks, contents.task: task})

    def remove(self, name: str) -> None:
        """Frees a task's row. Raises UnknownNameError."""
        with self._changing:
            self.task(name)
            tables, tasks = self._installed
            others = {key: task for key, task in tasks.items() if key != name}
            self._installed = _Installed(tables, others)

    def predictions(self, examples: Sequence[Example]) -> list[dict[str, Array] | None]:
        """What the head of each image's own task predicts, by name; of images of one size.

        None where the task has been removed or replaced since `task` gave it: its row may be
        another's by now, so whoever asked has to begin again.
        """
        tables, installed = self._installed
        count = next(batch for batch in self.batches if batch >= len(examples))
        rows = np.zeros(count, np.int32)
        rows[: len(examples)] = [example.task.row for example in examples]
        inputs = self._filled(examples, count, examples[0].size)
        maps = {
            name: np.asarray(each)
            for name, each in self._maps(self._shared, tables, rows, inputs).items()
        }
        answers: list[dict[str, Array] | None] = []
        for number, example in enumerate(examples):
            task = example.task
            current = installed.get(task.contents.task) is task
            taps = {name: maps[name][number] for name in task.head.taps}
            answers.append(task.head.apply(task.contents.head, taps) if current else None)
        return answers

    def _filled(self, examples: Sequence[Example], count: int, size: int) -> dict[str, Array]:
        """The inputs of `count` examples, zeros where there are fewer or a task reads nothing."""
        inputs = {"image": np.zeros((count, size, size, 3), np.float32)}
        for name, shape in self.inputs.items():
            inputs[name] = np.zeros((count, *shape), np.float32)
        for number, example in enumerate(examples):
            inputs["image"][number] = example.image
            for name, values in example.inputs.items():
                inputs[name][number] = values
        return inputs

    def _checked(self, contents: PatchContents) -> tuple[Preprocessing, Weights]:
        """How its images are prepared, and the patched weights, once everything was checked."""
        reads = bool(contents.inputs)
        head = head_of(contents)
        if missing := sorted({*head.taps} - self._taps):
            raise UnservedPatchError(
                f"the head {head.computes} of {contents.task} reads {', '.join(missing)} of the "
                f"network; this server computes {', '.join(sorted(self._taps))}: give a patch with "
                "such a head when it is started."
            )
        check_maps(contents, self._table)
        if not reads:
            check_without_look(contents)
        elif contents.patch != self._reads:
            served = f"those of {self._reads}" if self._reads else "none that read anything else"
            raise UnservedPatchError(
                f"the patch {contents.patch} of {contents.task} reads "
                f"{', '.join(contents.inputs)} beside the image; this server has patches of one "
                f"such kind, {served}: start another server with this patch."
            )
        preprocessing = Preprocessing.from_json(contents.preprocessing)
        size = preprocessing.size
        if size not in self.sizes:
            raise UnservedPatchError(
                f"the patch of {contents.task} takes images of {size} px, this server's network "
                f"takes {', '.join(map(str, self.sizes))}: start it for that size too.",
                settings=["size"],
            )
        image = (size, size, 3)
        if contents.parity.shape != image:
            raise UnservedPatchError(
                f"the patch of {contents.task} proves itself by an image {contents.parity.shape}, "
                f"this server's are {image}: export it again for {size} px."
            )
        patched = apply_edits(self._weights, contents.edits)
        self._check_tables_hold(contents, patched)
        self._row(contents.task)
        alone = self._looking if reads else self._plain
        parity_check(alone[size], self._weights)(contents)
        return preprocessing, patched

    def _check_tables_hold(self, contents: PatchContents, patched: Weights) -> None:
        for path, leaves in patched.items():
            if _shapes(self._modules.get(path, {})) == _shapes(leaves):
                continue
            for name, leaf in leaves.items():
                base = self._weights.get(path, {}).get(name)
                if base is None:
                    raise UnservedPatchError(
                        f"the patch {contents.patch} of {contents.task} adds {path}/{name}, which "
                        "no table of a server holds: run it by itself, or train another patch."
                    )
                if leaf is not base and not self._is_tabled(leaves, name):
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


def _shapes(leaves: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {name: leaf.shape for name, leaf in leaves.items()}


def _with_row(table: jax.Array, row: int, leaf: Array | float) -> jax.Array:
    """A new table: in numpy, where a row compiles nothing."""
    changed = np.array(table)
    changed[row] = leaf
    return jnp.asarray(changed)


def _mixed(
    backbone: Backbone, prepare: Prepare, taps: Collection[str]
) -> Callable[..., dict[str, jax.Array]]:
    """(weights, tables, rows [B], inputs {name: [B, ...]}) -> {tap: [B, ...]}."""

    def maps(weights: Any, tables: Any, rows: jax.Array, inputs: Any) -> dict[str, jax.Array]:
        def one(own: Any, inputs: Any) -> dict[str, jax.Array]:
            patched = {
                path: {**weights.get(path, {}), **own.get(path, {})} for path in {**weights, **own}
            }
            return forward(backbone, prepare, patched, inputs, {}, sorted(taps)).taps

        return jax.vmap(one)(jax.tree.map(lambda table: table[rows], tables), inputs)

    return maps
