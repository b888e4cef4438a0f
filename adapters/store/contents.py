"""What a patch file says: a card that describes the patch, the edits, and the head."""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters import names
from adapters.errors import UnknownNameError
from adapters.heads.contract import Head, HeadSettingError
from adapters.heads.registry import head_of
from adapters.store import canonical_json, parity
from adapters.store.edit_shapes import check_kinds, check_parts
from adapters.store.encoding import ENCODINGS
from adapters.store.errors import (
    LabelsError,
    LooksFirstError,
    NotFiniteError,
    SchemaError,
    UnsupportedFeatureError,
    shown,
)
from adapters.store.kinds import Array, Edits, Shape, dtype
from adapters.store.tensors import check_path
from adapters.store.training_course import Course
from adapters.vocabulary import MODULE, NORM_MODES
from adapters.words import NOTHING, Words

MOST_NUMBERS = 2**16  # of an input beside the image
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Parity:
    """What the patched network must answer, so that a machine can prove it computes alike.

    Attributes:
      seed: of the input image; see `adapters.store.parity.seed_of` and `seeded_image`. Below 2**53.
      shape: `[H, W, C]` of that image.
      logits: `[N]`, the values that `adapters.store.parity.values` takes of the answer on the
        machine that made the patch: of a classifier, a logit for each class.
      tolerance: the largest absolute difference allowed in any logit.
      int8_logits: `[N]`, the answer with every kernel rounded as an exported graph with
        kernels of int8 rounds it; None where the maker of the patch did not say.
    """

    seed: int
    shape: tuple[int, int, int]
    logits: tuple[float, ...]
    tolerance: float
    int8_logits: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _check_integer("the parity seed", self.seed, 0)
        if len(self.shape) != 3:
            raise SchemaError(f"the parity image's shape {list(self.shape)} is not [H, W, C]")
        for side in self.shape:
            _check_integer("a side of the parity image", side, 1)
        for logit in (*self.logits, *(self.int8_logits or ())):
            if isinstance(logit, float) and not math.isfinite(logit):
                raise NotFiniteError(f"a parity logit is {logit}")
            _check_number("a parity logit", logit)
        _check_number("the parity tolerance", self.tolerance)
        if self.tolerance <= 0:
            raise SchemaError(f"the parity tolerance {self.tolerance} is not above zero")
        if self.tolerance > parity.tolerance(self.logits):
            raise SchemaError(
                f"the parity tolerance {self.tolerance:.3g} would let other answers pass: at most "
                f"{parity.tolerance(self.logits):.3g} is allowed for these values"
            )


@dataclasses.dataclass(frozen=True)
class PatchCard:
    """The description of a patch: everything in the file but its tensors.

    Attributes:
      task: the task's name, and the file's.
      task_version: of the patch among those of its task, such as `1.0.0`.
      patch: the patch's spec, such as `scale_bias+depthwise`.
      backbone: the name of the backbone the patch was trained on.
      fingerprint: sha256 of that backbone's weights, in hexadecimal.
      norm: where the norms take their statistics from: `frozen`, `calibrated`, `batch`
        or `ema`; other than `frozen`, the patch replaces them.
      labels: one for each column of the head, in order.
      metric: what `scores` measure, such as `top1`.
      scores: the metric by split, such as `{"validation": 0.91}`.
      preprocessing: how an image becomes the network's input, as plain JSON.
      parity: an input and the logits it must give.
      encoding: how the file stores numbers: `float32`, `float16` or `int8`; see
        `adapters.store.encoding`.
      inputs: {name: shape} of what the patch reads beside the image, for one example.
      words: {name: texts} of those inputs that can be said in words; see `adapters.words`.
      head_kind: what the head predicts; see `adapters.heads.registry`.
      head_settings: of that kind, as plain JSON.
      data: {split: digest} of the images that it was trained and scored on, where it is known.
      training: which step of its training it is, and how that ended, where it is known.

    Raises SchemaError, LabelsError or JSONError for a field that no file may hold.
    """

    task: str
    task_version: str
    patch: str
    backbone: str
    fingerprint: str
    norm: str
    labels: tuple[str, ...]
    metric: str
    scores: Mapping[str, float]
    preprocessing: Mapping[str, Any]
    parity: Parity
    encoding: str = dataclasses.field(default="float32", kw_only=True)
    inputs: Mapping[str, Shape] = dataclasses.field(default_factory=dict, kw_only=True)
    words: Mapping[str, Words] = dataclasses.field(default_factory=dict, kw_only=True)
    head_kind: str = dataclasses.field(default="classification", kw_only=True)
    head_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, kw_only=True)
    data: Mapping[str, str] = dataclasses.field(default_factory=dict, kw_only=True)
    training: Course | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for field in ("task", "task_version", "patch", "backbone", "fingerprint", "norm", "metric"):
            _check_text(f"the field {field!r}", getattr(self, field))
        if not names.is_file_name(self.task):
            raise SchemaError(f"the task name {shown(self.task)} cannot be a file's name")
        if not _SHA256.fullmatch(self.fingerprint):
            raise SchemaError(
                f"the fingerprint {shown(self.fingerprint)} is not 64 hexadecimal digits"
            )
        if self.norm not in NORM_MODES:
            raise SchemaError(
                f"the norm mode {shown(self.norm)} is none of {', '.join(NORM_MODES)}"
            )
        if self.encoding not in ENCODINGS:
            raise SchemaError(
                f"the encoding {shown(self.encoding)} is none of {', '.join(ENCODINGS)}"
            )
        _check_labels(self.labels)
        if not self.scores:
            raise SchemaError(f"no split has a score of the metric {shown(self.metric)}")
        for split, score in self.scores.items():
            _check_text("a split's name", split)
            _check_number(f"the score of {shown(split)}", score)
        for split, digest in self.data.items():
            _check_text("a split's name", split)
            _check_text(f"the digest of {shown(split)}", digest)
        if not isinstance(self.preprocessing, Mapping):
            raise SchemaError("the preprocessing is not a mapping")
        canonical_json.encode(self.preprocessing)
        for name, shape in self.inputs.items():
            _check_input(name, shape)
        for name, words in self.words.items():
            _check_words(name, words, self.inputs.get(name, ()))
        canonical_json.encode(self.head_settings)
        try:
            head_of(self).check(len(self.labels))
        except UnknownNameError as error:
            raise UnsupportedFeatureError(
                f"the head is of the kind {shown(self.head_kind)}, which is not known here"
            ) from error
        except HeadSettingError as error:
            raise SchemaError(f"the head's settings do not hold together: {error}") from error


@dataclasses.dataclass(frozen=True, eq=False)
class PatchContents(PatchCard):
    """All that a patch file holds.

    Attributes:
      edits: `{kind: {module: {name: array}}}`, float32, finite, or bits; see
        `adapters.store.kinds`. Numbers are those that a reader sees: see `encoding.rounded`.
      head: `{"w": [features, classes], "b": [classes]}`, float32, finite; and `NAME/w` with
        `NAME/b` for a classifier of its own that an auxiliary prediction has.

    Raises what `PatchCard` raises, and UnsupportedFeatureError for an unknown kind of edit,
    LabelsError for a head of another width than the labels, NotFiniteError for NaN or infinity.
    """

    edits: Edits
    head: Mapping[str, Array]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kinds(self.edits)
        for kind, modules in self.edits.items():
            for module, leaves in modules.items():
                for leaf, array in leaves.items():
                    check_path(module, leaf)
                    _check_array(f"{module}/{leaf}", array, dtype(kind, leaf))
        for leaf, array in self.head.items():
            _check_array(f"head/{leaf}", array, np.float32)
        check_parts(
            {
                kind: {
                    module: {leaf: array.shape for leaf, array in leaves.items()}
                    for module, leaves in modules.items()
                }
                for kind, modules in self.edits.items()
            }
        )
        check_head(self, {leaf: array.shape for leaf, array in self.head.items()})


def check_head(card: PatchCard, shapes: Mapping[str, Shape]) -> None:
    """Raises SchemaError or LabelsError unless labels and logits fit a head of these `shapes`."""
    head = head_of(card)
    if head.together == "padded":
        _check_maps(card, head, shapes)
        return
    prefixes = {"", *auxiliary_heads(shapes)}
    whole = {f"{prefix}/{part}".lstrip("/") for prefix in prefixes for part in ("w", "b")}
    matrices = [shapes[name] for name in sorted(shapes) if name.rpartition("/")[2] == "w"]
    vectors = [shapes[name] for name in sorted(shapes) if name.rpartition("/")[2] == "b"]
    if (
        set(shapes) != whole
        or {len(shape) for shape in matrices} != {2}
        or {len(shape) for shape in vectors} != {1}
    ):
        raise SchemaError("the head is not w [features, classes] and b [classes]")
    for prefix in prefixes:
        check_path("head", prefix or "w")
    widths = {
        **{f"columns in head/{n}": s[1] for n, s in shapes.items() if len(s) == 2},
        **{f"entries in head/{n}": s[0] for n, s in shapes.items() if len(s) == 1},
        "labels": len(card.labels),
        "parity logits": len(card.parity.logits),
    }
    if card.parity.int8_logits is not None:
        widths["parity logits of int8"] = len(card.parity.int8_logits)
    if len(set(widths.values())) != 1:
        counts = ", ".join(f"{count} {name}" for name, count in widths.items())
        raise LabelsError(f"the head and its labels disagree: {counts}")


def _check_maps(card: PatchCard, head: Head, shapes: Mapping[str, Shape]) -> None:
    """`check_head`, of a head that is no one matrix product."""
    try:
        wanted = head.shapes(head.channels(shapes), len(card.labels))
    except (KeyError, IndexError) as error:
        raise SchemaError(
            f"the head {card.head_kind} has other tensors: {sorted(shapes)}"
        ) from error
    if wanted != dict(shapes):
        raise LabelsError(
            f"the head {card.head_kind} of {len(card.labels)} labels has tensors of the shapes "
            f"{wanted}, the file holds {dict(shapes)}"
        )
    counts = {len(card.parity.logits), len(card.parity.int8_logits or card.parity.logits)}
    if len(counts) > 1 or not 0 < max(counts) <= parity.MOST_VALUES:
        raise SchemaError(
            f"parity states {' and '.join(map(str, sorted(counts)))} values; of a map it states "
            f"one to {parity.MOST_VALUES:,}"
        )


def auxiliary_heads(names: Iterable[str]) -> tuple[str, ...]:
    """The auxiliary predictions among the parts of a linear head.

    >>> auxiliary_heads(["w", "b", "preview/w", "preview/b"])
    ('preview',)
    """
    return tuple(sorted({name.rpartition("/")[0] for name in names} - {""}))


def first_looks(contents: PatchContents) -> tuple[str, ...]:
    """The auxiliary predictions of a patch: only beside linear heads there are any."""
    padded = head_of(contents).together == "padded"
    return () if padded else auxiliary_heads(contents.head)


def looks_first(contents: PatchContents) -> bool:
    """Whether the patch looks at an image, or at other inputs, before its network does."""
    return bool(first_looks(contents) or contents.inputs or MODULE in contents.edits)


def check_without_look(contents: PatchContents) -> None:
    """Raises LooksFirstError for a patch that looks at an image before its network does.

    For who does edits and runs the network, and nothing else.
    """
    if contents.inputs:
        raise LooksFirstError(
            f"the patch for {contents.task} reads {', '.join(contents.inputs)} beside the image; a "
            "shared network that is fed patches cannot do that"
        )
    names = first_looks(contents)
    if names:
        raise LooksFirstError(
            f"the patch for {contents.task} looks at every image first, and predicts "
            f"{shown(names[0])}; a shared network that is fed patches cannot do that"
        )


def _check_array(name: str, array: Array, expected: npt.DTypeLike) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != expected:
        kind = getattr(array, "dtype", type(array).__name__)
        raise SchemaError(f"{name} is {kind}, not a numpy array of {np.dtype(expected)}")
    if not array.size:
        raise SchemaError(f"{name} is empty: its shape is {list(array.shape)}")
    if not np.isfinite(array).all():
        raise NotFiniteError(f"{name} holds NaN or an infinity")


def _check_labels(labels: tuple[str, ...]) -> None:
    if not isinstance(labels, tuple) or not labels:
        raise LabelsError("the labels are not a tuple of one text or more")
    for label in labels:
        _check_text("a label", label)
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise LabelsError(f"the label {shown(twice)} stands for two classes")


def _check_text(what: str, text: str) -> None:
    if not isinstance(text, str) or not text.strip():
        raise SchemaError(f"{what} is {shown(text)}, not a text")
    if names.has_control_characters(text):
        raise SchemaError(f"{what} is {shown(text)}, which holds a control character")


def _check_input(name: str, shape: Shape) -> None:
    if not (name.isascii() and name.isidentifier()) or name == "image":
        raise SchemaError(f"{shown(name)} cannot be an input beside the image")
    if not shape:
        raise SchemaError(f"the input {shown(name)} has no length")
    for length in shape:
        _check_integer(f"a length of the input {shown(name)}", length, 1)
    if math.prod(shape) > MOST_NUMBERS:
        raise SchemaError(f"the input {shown(name)} has more than {MOST_NUMBERS} numbers")


def _check_words(name: str, words: Words, shape: Shape) -> None:
    if len(shape) != 1:
        raise SchemaError(f"{shown(name)} is said in words, and is no input of one length")
    if not words:
        raise SchemaError(f"the input {shown(name)} is said in words, of which there are none")
    for text, places in words.items():
        if text != NOTHING:
            _check_text(f"a text of the input {shown(name)}", text)
        for place in places:
            _check_integer(f"a number that {shown(text)} stands for", place, 0)
        if not places or not max(places) < shape[0]:
            raise SchemaError(
                f"{shown(text)} stands for none, or for other numbers than the {shape[0]} of the "
                f"input {shown(name)}"
            )


def _check_integer(what: str, number: int, least: int) -> None:
    if type(number) is not int or not least <= number < 2**53:
        raise SchemaError(f"{what} is {shown(number)}, not an integer from {least} to 2**53 - 1")


def _check_number(what: str, number: float) -> None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise SchemaError(f"{what} is {shown(number)}, not a Python float")
    if not math.isfinite(number):
        raise SchemaError(f"{what} is {number!r}, not a finite number")
