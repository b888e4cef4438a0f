"""A detector that follows queries, against one that does not and whose boxes are filtered."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError
from adapters.experiment import evaluation
from adapters.experiment import query_figures as figures
from adapters.experiment.query_figures import About, about
from adapters.heads.contract import Boxes
from adapters.heads.detection.average_precision import average_precision
from adapters.heads.detection.detections import Detections
from adapters.heads.registry import from_settings
from adapters.inference.compiled import predictions
from adapters.preprocessing import normalise
from adapters.store.edits import apply_edits
from adapters.training.report import grid
from adapters.training.tidy import Measurement
from adapters.words import NOTHING, numbers
from tasks import pipeline, queries
from tasks.queries import QUERY, RELATIONS
from tasks.task import Task

Array = npt.NDArray[Any]


class NoQueryError(ModelPatchError):
    """A patch follows no queries, or two patches cannot be compared in that."""


class Line(NamedTuple):
    """One figure: of the detector that is asked, and of the one whose boxes are filtered.

    Both are shares; one is None where the figure is of the other alone.
    """

    name: str
    asked: float | None
    filtered: float | None


@dataclasses.dataclass(frozen=True)
class QueryComparison:
    """What `compare_queries` found.

    Attributes:
      patches, settings: of the detector that is asked, and of the other: their specs, and how they
        were trained.
      task, backbone, split: of both.
      images: how many the split has.
      lines: the figures.
    """

    patches: tuple[str, str]
    settings: tuple[str, str]
    task: str
    backbone: str
    split: str
    images: int
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        cells = [
            [line.name, *("-" if v is None else f"{v:.1%}" for v in (line.asked, line.filtered))]
            for line in self.lines
        ]
        head = [f"{self.task}, {self.split}, {self.images} images", "asked", "filtered"]
        return grid([head, *cells], 0)

    def rows(self, command: str) -> list[Measurement]:
        """The figures as measurements."""
        return [
            Measurement(
                task=self.task,
                backbone=self.backbone,
                patch=patch,
                setting=setting,
                seed=0,
                split=self.split,
                metric=line.name,
                value=value,
                unit="fraction",
                command=command,
            )
            for line in self.lines
            for patch, setting, value in zip(
                self.patches, self.settings, (line.asked, line.filtered), strict=True
            )
            if value is not None
        ]


def compare_queries(
    path: str | os.PathLike[str],
    standard: str | os.PathLike[str],
    split: str = "test",
    task: Task | str | None = None,
    weights: str | os.PathLike[str] | None = None,
    data_dir: str | None = None,
) -> QueryComparison:
    """What asking gives beside dropping the boxes of other classes.

    Args:
      path: of a patch that reads `query`.
      standard: of a patch for the same labels and image size that reads nothing.
      split, task, data_dir: of the images, as `evaluation.evaluate` has them.
      weights: of the backbone, if it brings none.

    Raises NoQueryError for other patches, and what `evaluation.evaluate` raises.
    """
    asked = _Detector(evaluation.open_patch(path, split, task, weights, data_dir=data_dir))
    _check(asked, path)
    images = asked.patch.task
    filtered = _Detector(evaluation.open_patch(standard, split, images, weights, data_dir=data_dir))
    if filtered.patch.contents.inputs or filtered.patch.preprocessing != asked.patch.preprocessing:
        raise NoQueryError(
            f"{os.fspath(standard)} reads more than the image, or images of another size than "
            f"{os.fspath(path)}: train both at one size, this one without queries."
        )
    found = _Answers.none()
    count = 0
    for batch in pipeline.evaluation_batches(
        images, split, asked.patch.preprocessing, asked.patch.network.examples, data_dir=data_dir
    ):
        pixels, objects = batch.inputs["image"], batch.targets["objects"][batch.mask]
        truths = [own[own[:, 4] >= 0] for own in objects]
        _add(found, asked, filtered, pixels, truths)
        count += len(truths)
    return QueryComparison(
        (asked.patch.contents.patch, filtered.patch.contents.patch),
        (_setting(asked, "asked"), _setting(filtered, "filtered")),
        images.name,
        asked.patch.contents.backbone,
        split,
        count,
        tuple(_lines(found, len(images.labels))),
    )


class _Detector:
    """An opened patch, answering with all boxes however unsure."""

    def __init__(self, patch: evaluation.Opened):
        self.patch, contents = patch, patch.contents
        self._weights = apply_edits(patch.backbone.weights, contents.edits)
        self._head = from_settings(contents.head_kind, {**contents.head_settings, "threshold": 0.0})

    def boxes(self, pixels: Array, count: int, query: str | None = None) -> list[Boxes]:
        """Of the first `count` images of a batch, all of which are asked `query`."""
        patch, inputs = self.patch, {}
        if query is not None:
            words, (length,) = patch.contents.words[QUERY], patch.contents.inputs[QUERY]
            inputs[QUERY] = np.tile(numbers(QUERY, query, words, length), (len(pixels), 1))
        images = normalise(pixels, patch.preprocessing)
        found = predictions(
            *(patch.network, self._weights, patch.contents.head),
            *({**inputs, "image": images}, self._head.apply),
        )
        rows = [{name: each[row] for name, each in found.items()} for row in range(count)]
        said = (self._head.decode(patch.contents.labels, row) for row in rows)
        return [one for one in said if isinstance(one, Boxes)]


def _setting(detector: _Detector, how: str) -> str:
    course = detector.patch.contents.training
    trained = f", step {course.step} of {course.steps}" if course else ""
    return f"{detector.patch.preprocessing.size} px{trained}, {how}"


def _check(detector: _Detector, path: str | os.PathLike[str]) -> None:
    contents = detector.patch.contents
    if set(contents.inputs) != {QUERY} or QUERY not in contents.words:
        raise NoQueryError(
            f"{os.fspath(path)} follows no queries: train the patch query_modulation on a task "
            "with queries."
        )
    if not queries.texts(contents.labels)[0].items() <= contents.words[QUERY].items():
        raise NoQueryError(f"{os.fspath(path)} knows other queries than those of its labels.")


class _Answers(NamedTuple):
    """What both detectors said, about each image and class."""

    truths: list[Array]
    unasked: list[Boxes]
    plain: list[Boxes]
    asked: list[About]
    filtered: list[About]
    silent: list[About]
    shuffled: list[About]
    related: list[tuple[Array, About]]
    related_filtered: list[tuple[Array, About]]

    @classmethod
    def none(cls) -> "_Answers":
        return cls(*([] for _ in cls._fields))


def _add(
    found: _Answers,
    asked: _Detector,
    filtered: _Detector,
    pixels: Array,
    truths: Sequence[Array],
) -> None:
    """Asks both about a batch."""
    labels, count = asked.patch.contents.labels, len(truths)
    unasked, plain = asked.boxes(pixels, count, NOTHING), filtered.boxes(pixels, count)
    found.truths.extend(truths)
    found.unasked.extend(unasked)
    found.plain.extend(plain)
    answers = [asked.boxes(pixels, count, label) for label in labels]
    for number in range(len(labels)):
        other = answers[(number + 1) % len(labels)]
        for into, said in (
            (found.asked, answers[number]),
            (found.filtered, plain),
            (found.silent, unasked),
            (found.shuffled, other),
        ):
            into.extend(about(number, *pair) for pair in zip(truths, said, strict=True))
        for relation, wanted in _related(number, truths):
            said = asked.boxes(pixels, count, f"{relation} {labels[number]}")
            for row, box in wanted.items():
                found.related.append((box, about(number, truths[row], said[row])))
                found.related_filtered.append((box, about(number, truths[row], plain[row])))


def _related(number: int, truths: Sequence[Array]) -> Iterator[tuple[str, Mapping[int, Array]]]:
    """Each relation that one object of a class alone has in some images: {row: its box}."""
    for relation in RELATIONS:
        own = [truth[truth[:, 4] == number, :4] for truth in truths]
        clear = {row: queries.only(relation, boxes) for row, boxes in enumerate(own)}
        wanted = {row: own[row][place] for row, place in clear.items() if place is not None}
        if wanted:
            yield relation, wanted


def _lines(found: _Answers, classes: int) -> Iterator[Line]:
    whole = [
        average_precision(found.truths, [Detections(*one[1:]) for one in said], classes)
        for said in (found.unasked, found.plain)
    ]
    yield Line("AP without a query", *(each.over_overlaps for each in whole))
    yield Line("AP50 without a query", *(each.at_half for each in whole))
    own = [figures.precision(each, classes) for each in (found.asked, found.filtered)]
    yield Line("AP of a class that is there", *(each.over_overlaps for each in own))
    yield Line("AP50 of a class that is there", *(each.at_half for each in own))
    silent, shuffled = (
        figures.precision(each, classes).at_half for each in (found.silent, found.shuffled)
    )
    yield Line("AP50 without a query, filtered", silent, None)
    if classes > 1:
        yield Line("AP50 asked for another class", shuffled, None)
    both = found.asked, found.filtered
    if len(figures.alarms(found.asked)):
        recall = min(map(figures.reachable, both))
        alarms = [figures.false_alarms(each, recall) for each in both]
        yield Line(f"false alarms, absent class, at {recall:.0%} recall", *alarms)
        by_size = [figures.recall_by_size(each) for each in both]
        for third in figures.THIRDS:
            name = f"recall, {third} third, at {figures.FALSE_ALARMS:.0%} false alarms"
            yield Line(name, *(each[third] for each in by_size))
    if found.related:
        right = [figures.surest_right(each) for each in (found.related, found.related_filtered)]
        yield Line(f"surest box right, {len(found.related)} of left, right, ...", *right)
