"""What a task is: plain data, from which everything else about it follows."""

import collections
import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from adapters import errors, names, preprocessing
from adapters.heads import registry as heads
from adapters.heads.contract import Head, TargetError
from adapters.words import Words
from tasks import arrays
from tasks.augmentation import DEFAULT, Augmentation
from tasks.cutting import FRACTIONS, SPLITS


class TaskError(errors.ModelPatchError):
    """A task's record does not hold together."""


class UnknownSplitError(errors.ModelPatchError):
    """A split was asked for that the task does not have."""


class Examples(Protocol):
    """Random access to one split.

    An example is `{"name": str, "image": uint8 [H, W, 3]}` with the task's further inputs and with
    the targets of its head: `"label": int` for a classifier, -1 where it is hidden. Opened in
    another process (by pickling) it reads the same examples.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]: ...

    def __iter__(self) -> Iterator[Mapping[str, Any]]: ...


@runtime_checkable
class ImageFileExamples(Examples, Protocol):
    """Examples that are image files, of which `__getitem__` may give smaller copies."""

    def known(self, index: int) -> Mapping[str, Any]:
        """An example without its image."""
        ...

    def file(self, index: int) -> bytes:
        """An example's image file."""
        ...

    def prepared(self, index: int, how: preprocessing.Preprocessing) -> Mapping[str, Any]:
        """An example whose image is the network's pixels [size, size, 3] of the whole file.

        They are those that a server makes. `shape` is (H, W) of that file's image, where a target
        says places in it.
        """
        ...


class Source(Protocol):
    """Where a task's images come from: `Carried`, `Prepared`, `Folder` or `Arrays`.

    One that knows what its splits hold without opening them is a `tasks.digest.TellsContents` too,
    and one whose images may be larger than those that it opens is `OpensLarge`.
    """

    def open(self, task: "Task", split: str, data_dir: str | None) -> Examples: ...


@runtime_checkable
class OpensLarge(Protocol):
    """A source that opens its images as large as a network sees them."""

    def open_for(
        self, size: int, task: "Task", split: str, data_dir: str | None
    ) -> ImageFileExamples:
        """Opens a split for a network whose images have this side, in pixels."""
        ...


class Asking(Protocol):
    """Draws inputs of a training view, and leaves the targets that go with them."""

    @property
    def inputs(self) -> Collection[str]:
        """The names of those that it draws."""
        ...

    def __call__(
        self, known: Mapping[str, npt.NDArray[Any]], generator: np.random.Generator
    ) -> dict[str, npt.NDArray[Any]]:
        """The drawn inputs and the changed targets, of a view with the targets `known`."""
        ...


@dataclasses.dataclass(frozen=True)
class Task:
    """One thing to learn.

    name: what users call it; unique.
    source: where its images come from.
    labels: what the head's outputs are called, in its columns' order: classes, for a classifier.
    description: the docstring of its file: what it is, licence, sizes, command, expected score.
    expected: lowest and highest test metric (validation, where test labels are hidden) that the
      command in the description should give; outside it, look for what changed.
    version: of the images; raised whenever a source would write different ones.
    splits: those the source has.
    fit, background: the part of preprocessing that depends on the images (see
      `adapters.preprocessing.Preprocessing`); size, mean and std come with the backbone.
    augmentation: how training images vary.
    head: what is predicted, as text: a kind of `adapters.heads.registry`, with its settings.
    inputs: {name: shape} of what an example has beside the image, float32, for patches to read.
    words: {name: texts} of those inputs that are said in words. One that has an empty text may be
      left out of an example.
    ask: what each view of a training image is asked; None where examples have all their inputs.
    size: side of the network's images, in pixels; None: what the run says. A run may have tasks of
      several sizes: one for each resolution, with a scale and bias of its own, say.
    hidden_test_labels: whether the test split carries label -1: report validation, write
      predictions.
    spelled: of a user's own data, the text that gives this task wherever it is said, see
      `tasks.own_data`; "" for others.

    Raises TaskError, UnknownNameError for a head nobody knows, or what `heads.from_spec` raises.
    """

    name: str
    source: Source
    labels: tuple[str, ...]
    description: str
    expected: tuple[float, float]
    version: str = "1.0.0"
    splits: tuple[str, ...] = SPLITS
    fit: str = "stretch"
    background: preprocessing.Colour = (255, 255, 255)
    augmentation: Augmentation = DEFAULT
    head: str = "classification"
    inputs: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict, hash=False)
    words: Mapping[str, Words] = dataclasses.field(default_factory=dict, hash=False)
    ask: Asking | None = None
    size: int | None = None
    hidden_test_labels: bool = False
    spelled: str = dataclasses.field(default="", compare=False)

    @classmethod
    def from_arrays(
        cls,
        images: npt.ArrayLike,
        labels: Sequence[Any] | npt.ArrayLike,
        *,
        name: str = "arrays",
        splits: Sequence[float] = FRACTIONS,
        head: str = "classification",
        outputs: Sequence[str] = (),
        inputs: Mapping[str, npt.ArrayLike] | None = None,
        **fields: Any,
    ) -> "Task":
        """A task of images in memory, its classes sorted; see `tasks.arrays.source`.

        Args:
          images: uint8 [N, H, W, 3], not copied.
          labels: N whole numbers or texts; for a head with a number for each output, numbers
            [N, outputs], 1 or 0 for `multilabel`.
          name: the task's, and its file's.
          head: what is predicted: `multilabel`, `regression(unit=cm)`.
          outputs: what those numbers are called, in their order; classes have names already.
          inputs: {name: numbers [N, ...]} that come with each image, for patches to read.
          splits: the shares of each class to train, validate and test on; the last may be 0.
          fields: others of a `Task`, `augmentation` say.

        Raises ArraysError for arrays of another kind, or too few images of a class, and TaskError.

        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
        >>> Task.from_arrays(images, ["sun", "rain"] * 20, name="weather").labels
        ('rain', 'sun')
        """
        made = heads.from_spec(head)
        ((target, how),) = made.targets.items()
        if (how.per == "output") != bool(outputs):
            raise arrays.ArraysError(
                f"the head {head} takes the names of its `outputs`."
                if how.per == "output"
                else f"the head {head} takes no `outputs`: labels name the classes."
            )
        source, names_of, cut = arrays.source(images, labels, splits, outputs, target, inputs)
        try:
            for split in cut:
                made.check_targets({target: source.labels[source.members[split]]})
        except TargetError as error:
            raise arrays.ArraysError(f"labels of the split {split}: {error}") from error
        known: dict[str, Any] = {"description": "Images from memory.", "expected": (0.0, 1.0)}
        shapes = {each: values.shape[1:] for each, values in source.inputs.items()}
        unknown = sorted(set(fields) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise errors.UnknownNameError(
                "field of a task", unknown[0], [field.name for field in dataclasses.fields(cls)]
            )
        known |= {"head": head, "inputs": shapes, **fields}
        return cls(name=name, source=source, labels=names_of, splits=cut, **known)

    def __post_init__(self) -> None:
        if not names.is_file_name(self.name) or "," in self.name:
            raise TaskError(
                f"a task cannot be called {self.name!r}: {names.FILE_NAME_RULE}; and no comma. "
                "Rename it, or its folder."
            )
        least = self.made_head.least
        if len(self.labels) < least:
            raise TaskError(
                f"task {self.name!r} has {len(self.labels)} class; it needs {least} or more."
            )
        for label in self.labels:
            if not label.strip() or names.has_control_characters(label):
                raise TaskError(
                    f"task {self.name!r} has a class called {label!r}; a class needs a name to "
                    "show, without control characters. Rename it, or its folder."
                )
        counts = collections.Counter(self.labels)
        twice = sorted(label for label, count in counts.items() if count > 1)
        if twice:
            raise TaskError(f"task {self.name!r} has classes of one name: {', '.join(twice)}.")
        if not {"train", "validation"} <= set(self.splits) <= set(SPLITS):
            raise TaskError(
                f"task {self.name!r} has splits {self.splits}; they must be 'train', 'validation' "
                "and, where there is one, 'test'."
            )
        self._check_inputs()
        if self.size is not None and self.size < 1:
            raise TaskError(
                f"task {self.name!r} has the size {self.size}; it must be 1 pixel or more."
            )
        if self.fit not in preprocessing.FITS:
            raise errors.UnknownNameError("fit", self.fit, preprocessing.FITS)

    def _check_inputs(self) -> None:
        # `top` is how many labels a request to a server wants.
        taken = {"name", "image", "teacher", "top", *self.made_head.targets}
        for name, shape in self.inputs.items():
            if not isinstance(name, str) or not name.isidentifier() or name in taken:
                raise TaskError(
                    f"task {self.name!r} has an input called {name!r}; its name must be of "
                    f"letters, digits and '_', and none of {', '.join(sorted(taken))}."
                )
            sizes = shape if isinstance(shape, tuple) else ()
            if not sizes or not all(type(size) is int and size > 0 for size in sizes):
                raise TaskError(
                    f"task {self.name!r} has the input {name} of the shape {shape!r}; a shape is a "
                    "tuple of whole numbers, (3,), say."
                )
        for name in {*self.words, *(self.ask.inputs if self.ask else ())} - set(self.inputs):
            raise TaskError(f"task {self.name!r} says {name} in words, and has no such input.")

    @property
    def kept_as(self) -> str:
        """What its images are kept as: its name, without the size that it may end with."""
        return self.name.removesuffix(f"@{self.size}")

    def at(self, size: int) -> "Task":
        """The same for images of `size` pixels a side, called NAME@SIZE."""
        return dataclasses.replace(self, name=f"{self.name}@{size}", size=size)

    @property
    def made_head(self) -> Head:
        """The head that `head` describes."""
        return heads.from_spec(self.head)

    @property
    def metric(self) -> str:
        """The name of the score."""
        return self.made_head.metric.score
