"""The contract: a head turns maps of the backbone into named predictions, a loss and an answer.

A head is a tuple of small pure functions, as a patch is. They are written for one image, or for
arrays with any axes before it where they say so; who trains, evaluates, exports or serves asks the
head and never which kind it is.

Devices and servers use a head without JAX: the file of a kind imports JAX inside the functions that
train, and NumPy at its top.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError
from adapters.heads.assessment import Assessment
from adapters.heads.surest import surest
from adapters.resizing import resized
from adapters.view import View

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Arrays = Mapping[str, Any]
"""Arrays by name: what a head reads, its weights, its predictions, or its targets."""

MOST_OBJECTS = 100
"""Of one image: rows of a target that has one for each object."""

MOST_OF_CLASS = 100
"""Segments of one class in an image: a pixel's segment is its class times this, plus its number."""

_APART = 1e-3  # of a side: what rounding moves a box by is less


class HeadSettingError(ModelPatchError):
    """A setting of a head that it does not have, or out of its range."""


class NoAnswerError(ModelPatchError):
    """What a network predicts of an image is not finite."""


class TargetError(ModelPatchError):
    """Targets that this head cannot learn or be scored on."""


class Target(NamedTuple):
    """What a training example says beside its image.

    Attributes:
      dtype: `int32` or `float32`.
      per: what it has a value for: the `image`, a scalar; each `output`, [outputs]; each `pixel`
        of the network's input, [H, W], its class; each pixel its `segment`, [H, W]: the number of
        its class times MOST_OF_CLASS, plus that of the segment among those of its class; or each
        `object` in it, [MOST_OBJECTS, 5]: left, top, right and bottom in parts of the input's
        sides, and the number of its class, -1 in rows that only fill up.
    """

    dtype: str
    per: Literal["image", "output", "pixel", "segment", "object"]

    @property
    def of_pixels(self) -> bool:
        """Whether it is a map [H, W] of whole numbers, -1 where a pixel does not count."""
        return self.per in ("pixel", "segment")


class Figure(NamedTuple):
    """One number of a score and its unit; a `fraction` is printed in percent."""

    value: float
    unit: str


class Metric(NamedTuple):
    """Figures that add up batch by batch, in NumPy.

    Attributes:
      score: the name of the figure that runs are compared by; higher is better.
      init: (outputs) -> state of no examples.
      update: (state, predictions {name: [N, ...]}, targets {name: [N, ...]}) -> state.
      result: (state) -> {name: Figure}; raises TargetError where nothing was counted.
    """

    score: str
    init: Callable[[int], Any]
    update: Callable[[Any, Arrays, Arrays], Any]
    result: Callable[[Any], dict[str, Figure]]


class Answer(NamedTuple):
    """What a task says of an image, of a head that tells labels.

    Attributes:
      label: the answer in words: the most probable one, or those that hold.
      probabilities: of every label, the most probable first.
    """

    label: str
    probabilities: dict[str, float]

    def agreement(self, other: "Answer") -> float | None:
        """1 where both have the same label, else 0."""
        return float(self.label == other.label)

    def __str__(self) -> str:
        share = self.probabilities.get(self.label)
        return self.label if share is None else f"{self.label} ({share:.1%})"


class Values(NamedTuple):
    """What a task says of an image, of a head that tells numbers.

    Attributes:
      label: the answer in words.
      values: {label: number}, in the order of the labels.
      unit: of the values.
    """

    label: str
    values: dict[str, float]
    unit: str

    def agreement(self, other: "Values") -> float | None:
        """None: of numbers, nobody asks whether they are the same."""
        del other
        return None

    def __str__(self) -> str:
        return self.label


class Regions(NamedTuple):
    """What a task says of an image, of a head that tells a label for every pixel.

    Attributes:
      label: the answer in words.
      shares: of every label, how much of the image it covers, the largest first.
      logits: [h, w, labels], in the order of the task's labels, coarser than the image.
    """

    label: str
    shares: dict[str, float]
    logits: Array

    def classes(self, height: int, width: int) -> npt.NDArray[np.int32]:
        """The number of each pixel's label, [height, width]."""
        return resized(self.logits, height, width).argmax(axis=-1).astype(np.int32)

    def mask(self, view: View) -> npt.NDArray[np.int32]:
        """The number of the label of each pixel of the picture, [H, W]; -1 where none was seen."""
        return surest(self.logits, view)

    def agreement(self, other: "Regions") -> float | None:
        """The share of places with the same label, as fine as logits are."""
        return float(np.mean(self.logits.argmax(axis=-1) == other.logits.argmax(axis=-1)))

    def __str__(self) -> str:
        return self.label


class Segments(NamedTuple):
    """What a task says of an image, of a head that tells which segment each pixel is of.

    Attributes:
      label: the answer in words.
      classes: [n], the number of each segment's label, the surest segment first.
      scores: [n], how sure each is, from 0 to 1.
      owners: [masks], the number of the segment that each mask is of; -1: of none.
      logits: [h, w, masks], coarser than the image: a pixel is of the mask with the highest.
    """

    label: str
    classes: Array
    scores: Array
    owners: Array
    logits: Array

    def numbers(self, height: int, width: int) -> npt.NDArray[np.int32]:
        """The number of each pixel's segment, [height, width]; -1 where there is none."""
        return self._owned(resized(self.logits, height, width).argmax(axis=-1))

    def seen(self, view: View) -> npt.NDArray[np.int32]:
        """The same of each pixel of the picture, [H, W]; -1 also where none was seen."""
        return self._owned(surest(self.logits, view))

    def labelled(self, numbers: Array) -> npt.NDArray[np.int32]:
        """Numbers of segments as those of their labels; -1 stays."""
        return np.append(self.classes, -1).astype(np.int32)[numbers]

    def agreement(self, other: "Segments") -> float | None:
        """The share of places with the same label, as fine as logits are."""
        size = self.logits.shape[:2]
        one, two = (own.labelled(own.numbers(*size)) for own in (self, other))
        return float(np.mean(one == two))

    def _owned(self, masks: Array) -> npt.NDArray[np.int32]:
        return np.append(self.owners, -1).astype(np.int32)[masks]

    def __str__(self) -> str:
        return self.label


class Boxes(NamedTuple):
    """What a task says of an image, of a head that finds objects.

    Attributes:
      label: the answer in words.
      boxes: [n, 4], left, top, right and bottom in parts of the sides of the network's image, the
        surest first.
      scores: [n], how sure each is, from 0 to 1.
      classes: [n], the number of each one's label.
    """

    label: str
    boxes: Array
    scores: Array
    classes: Array

    def agreement(self, other: "Boxes") -> float | None:
        """1 where both have the same boxes to a thousandth of a side, of the same labels, else 0.

        Boxes that are about equally sure may stand in another order.
        """
        if len(self.boxes) != len(other.boxes):
            return 0.0
        free = np.ones(len(other.boxes), bool)
        for box, label in zip(self.boxes, self.classes, strict=True):
            apart = np.abs(other.boxes - box).max(axis=1)
            alike = free & (other.classes == label) & (apart <= _APART)
            if not alike.any():
                return 0.0
            free[alike.argmax()] = False
        return 1.0

    def __str__(self) -> str:
        return self.label


Said = Answer | Values | Regions | Segments | Boxes
"""What a task says of an image."""


def _zeros(shapes: Mapping[str, Shape]) -> dict[str, Array]:
    return {leaf: np.zeros(shape, np.float32) for leaf, shape in shapes.items()}


def _as_they_are(targets: Arrays) -> Arrays:
    return targets


def _any_targets(targets: Arrays) -> None:
    del targets


def _any_number(outputs: int) -> None:
    del outputs


class Head(NamedTuple):
    """One kind of head with its settings.

    Attributes:
      kind: its name in the registry, and in a file's card.
      settings: as JSON: what makes this head again out of its kind.
      computes: what `apply` computes, as text: heads of one text predict the same from the same
        weights and maps, whatever else they are set to, so that one program serves them.
      taps: the maps of the backbone that it reads, by name; see `adapters.backbones.taps`.
      together: how the heads of many tasks stand in one batch: in rows of one `wide` matrix, or
        each in a `padded` row of its own; see `adapters.heads.wide` and `padded`.
      shapes: ({tap: channels}, outputs) -> {leaf: shape}, of its weights.
      channels: ({leaf: shape}) -> {tap: channels}, the same backwards; raises KeyError or
        IndexError for leaves of another head.
      targets: what a training example has, by name.
      least: the fewest outputs that make sense.
      metric: how predictions are scored.
      apply: (weights, taps) -> predictions; for any axes before those of one image. Weights are
        named as in a file, without the `head/` that all have.
      loss: (predictions, targets, own [rows] bool, smoothing, distillation) -> {term: scalar} of
        one image, whose sum is trained on, in JAX. Outputs are wide or padded, of which the task
        owns `own`. A target called `teacher` takes the share `distillation` of the loss, a
        number or a scalar array.
      figures: (predictions, targets, own) -> {name: scalar} to watch while training.
      decode: (labels, predictions of one image) -> what is said of it; raises NoAnswerError.
      listed: (labels, predictions of one image, view) -> the answer as JSON, a list of one object a
        label, or a box, with the most telling first; what has a place has it in pixels of the
        picture that the view is of. Raises NoAnswerError.
      ranked: whether `listed` gives all labels in their order, so that the first ones may do; else
        each is a part of the answer.
      mask: (labels, predictions of one image, view) -> the number of the label of each pixel of the
        picture, [H, W] int32, -1 where none was seen; None where there is no such answer.
      check: (outputs) -> None; raises HeadSettingError where the settings do not fit so many.
      check_targets: (targets of a whole split) -> None; raises TargetError where they can be
        neither learned nor scored. Asked where a task's examples are made.
      standardised: (targets {name: [N, ...]}) -> the same in the units that are trained on.
      soft_targets: (predictions {name: [N, ...]}) -> what a student of them learns,
        [N, ..., outputs]; None where there is nobody to learn from.
      in_training: the head that is trained in its place: the same, with further predictions and
        weights, of which nothing is shipped; None: this one.
      initial: ({leaf: shape}) -> the weights that training starts from; zeros, by default.
      begun: (weights that training starts from, those of a finished head that computes the same,
        [(output, finished output)]) -> weights that start with what both heads have; None where a
        padded head has no such start. Of wide ones rows are kept; see `adapters.training.starting`.
      after_training_targets: (targets of the whole training split) -> this head with what it has to
        know of them, or TargetError; asked before training.
      after_validation: (predictions, targets of the validation split) -> this head with what is
        chosen on validation; asked when training has ended.
      balanced: (targets of the whole training split, outputs) -> this head, learning as if there
        were as many examples of each class; None where an example has no single class.
      scaled: (weights, predictions and targets of the validation split) -> weights that answer the
        same, as surely as they were right there; None where there is not one answer of several.
      assess: (labels, predictions, targets) -> how a whole split was answered class by class; None
        where an example has no single class.
    """

    kind: str
    settings: Mapping[str, Any]
    computes: str
    taps: tuple[str, ...]
    together: Literal["wide", "padded"]
    shapes: Callable[[Mapping[str, int], int], dict[str, Shape]]
    channels: Callable[[Mapping[str, Shape]], dict[str, int]]
    targets: Mapping[str, Target]
    least: int
    metric: Metric
    apply: Callable[[Arrays, Arrays], dict[str, Any]]
    loss: Callable[[Arrays, Arrays, Any, float, float], dict[str, Any]]
    figures: Callable[[Arrays, Arrays, Any], dict[str, Any]]
    decode: Callable[[Sequence[str], Arrays], Said]
    listed: Callable[[Sequence[str], Arrays, View], list[dict[str, Any]]]
    soft_targets: Callable[[Arrays], Array] | None
    ranked: bool = True
    mask: Callable[[Sequence[str], Arrays, View], Array] | None = None
    in_training: "Head | None" = None
    initial: Callable[[Mapping[str, Shape]], dict[str, Array]] = _zeros
    begun: Callable[[Arrays, Arrays, Sequence[tuple[int, int]]], dict[str, Array]] | None = None
    check: Callable[[int], None] = _any_number
    check_targets: Callable[[Arrays], None] = _any_targets
    standardised: Callable[[Arrays], Arrays] = _as_they_are
    after_training_targets: Callable[[Arrays], "Head"] | None = None
    after_validation: Callable[[Arrays, Arrays], "Head"] | None = None
    balanced: Callable[[Arrays, int], "Head"] | None = None
    scaled: Callable[[Arrays, Arrays, Arrays], dict[str, Array]] | None = None
    assess: Callable[[Sequence[str], Arrays, Arrays], Assessment] | None = None


def computed_by(kind: str, settings: Mapping[str, Any], without: str = "") -> str:
    """`Head.computes`, of a kind whose settings, but for the one called `without`, all matter.

    >>> computed_by("ssdlite", {"maps": 3, "threshold": 0.4}, without="threshold")
    'ssdlite(maps=3)'
    """
    told = ", ".join(f"{name}={value}" for name, value in settings.items() if name != without)
    return f"{kind}({told})"


def finite(predictions: Arrays) -> None:
    """Raises NoAnswerError unless all that is predicted of an image is finite."""
    if not all(np.isfinite(values).all() for values in predictions.values()):
        raise NoAnswerError(
            "what is predicted of this image is not finite: the patch does not suit such images. "
            "Train it again, with images like this one among them."
        )
