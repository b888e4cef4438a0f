"""How well classifiers that were told classes alone find the things: scores of their class maps.

After Choe et al., arXiv 2001.07437; see `adapters.analysis.localisation`. Each map is of the class
that the image has, whatever the patch answers: what is scored is where it looks.
"""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.analysis import localisation as scores
from adapters.analysis.localisation import Overlaps
from adapters.errors import ModelPatchError
from adapters.experiment import backbones, evaluation
from adapters.experiment.class_mapper import ClassMapper
from adapters.experiment.known_places import Known, known_places
from adapters.experiment.opening import examples_of, opened
from adapters.experiment.run_files import RESULTS
from adapters.heads.classification import LABEL
from adapters.inference.class_maps import taps_for
from adapters.inference.compiled import Inference, inference
from adapters.inference.first_look import first_look
from adapters.preprocessing import Preprocessing, normalise
from adapters.store.contents import PatchCard, looks_first
from adapters.store.errors import naming
from adapters.store.read import decode_patch, read_bytes
from adapters.training import tidy
from adapters.training.report import grid
from tasks import loading
from tasks.task import ImageFileExamples, Task

V1, V2, PIXELS = "MaxBoxAcc", "MaxBoxAccV2", "PxAP"
BEST = "threshold of this split"
ACCURACY, COARSER = "accuracy", "accuracy of the coarser class"
CENTRE = "centre"  # in the place of a patch: what knows nothing of the image


class NoLocalisationError(ModelPatchError):
    """A patch or a task that localisation cannot be scored of."""


class Line(NamedTuple):
    """One figure, a share: of the patch's maps, and of the middle of the image, if it has one."""

    name: str
    found: float
    centre: float | None


@dataclasses.dataclass(frozen=True)
class Localisation:
    """How well a patch file's class maps tell where things are.

    Attributes:
      path: of the file.
      card: its own.
      places: the task that knows where things are.
      setting, seed: of the run that made it, as far as the folder that it lies in says.
      split: that is scored; images: how many it has.
      threshold: of the map, that is best on validation for MaxBoxAcc.
      lines: the figures.
    """

    path: str
    card: PatchCard
    places: str
    setting: str
    seed: int
    split: str
    images: int
    threshold: float
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        cells = [
            [line.name, *("-" if v is None else f"{v:.1%}" for v in (line.found, line.centre))]
            for line in self.lines
        ]
        head = [f"{self.path}: {self.split}, {self.images} images", "maps", "centre"]
        return f"{grid([head, *cells], 0)}\nthreshold of validation: {self.threshold:g}"

    def rows(self, command: str) -> list[tidy.Measurement]:
        """The figures as measurements; those of the middle of the image have the patch `centre`."""
        size = f"{Preprocessing.from_json(self.card.preprocessing).size} px"
        known = [
            (self.card.patch, self.setting or size, self.seed, line.name, line.found)
            for line in self.lines
        ]
        known += [
            (CENTRE, size, 0, line.name, line.centre)
            for line in self.lines
            if line.centre is not None
        ]
        return [
            tidy.Measurement(
                task=self.card.task,
                backbone=self.card.backbone,
                patch=patch,
                setting=setting,
                seed=seed,
                split=self.split,
                metric=name,
                value=value,
                unit="fraction",
                command=command,
            )
            for patch, setting, seed, name, value in known
        ]


def localisations(
    paths: Sequence[str | os.PathLike[str]],
    places: Task,
    split: str = "test",
    task: Task | str | None = None,
    coarser: Task | None = None,
    weights: str | os.PathLike[str] | None = None,
    data_dir: str | None = None,
) -> Iterator[Localisation]:
    """Scores the class maps of classifiers' patch files, one after another.

    Thresholds, and sizes of boxes in the middle, are those that are best on validation; beside them
    stands what the scored split's own give, the published figures, which are an oracle's.

    Args:
      paths: of the files.
      places: a task of boxes or masks whose examples are the same images, by their names.
      split: that is scored.
      task: of the images' classes, by default the one that a file names.
      coarser: a task of the same images with fewer classes, of which the task's own are parts: what
        tasks of several levels can be compared by.
      weights: of the backbone, if it brings none.
      data_dir: folder with prepared TFDS data sets.

    Raises NoClassMapError, NoPlacesError, NoLocalisationError, and what `evaluation.evaluate` does.
    """
    together = _Together(places, split, coarser, weights, data_dir)
    for path in paths:
        yield together.of(path, task)


class _Seen(NamedTuple):
    """What a patch says of a split: maps [N, S, S], and its answers and the classes [N]."""

    known: Known
    maps: npt.NDArray[np.float32]
    answers: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]


class _Together:
    """Opens once what several files have in common: backbones, networks, images and places."""

    def __init__(
        self,
        places: Task,
        split: str,
        coarser: Task | None,
        weights: str | os.PathLike[str] | None,
        data_dir: str | None,
    ):
        if coarser is not None and set(coarser.made_head.targets) != {LABEL}:
            raise NoLocalisationError(
                f"task {coarser.name} predicts {coarser.head}, and not one class an image: it "
                "cannot say which coarser class an image has.",
                settings=["coarser"],
            )
        self._places, self._split, self._coarser = places, split, coarser
        self._weights, self._data_dir = weights, data_dir
        self._bases: dict[str, backbones.Loaded] = {}
        self._networks: dict[Any, Inference] = {}
        self._known: dict[Any, Known] = {}
        self._labels: dict[tuple[str, str], Mapping[str, int]] = {}
        self._overlaps: dict[int, Overlaps] = {}

    def of(self, path: str | os.PathLike[str], wanted: Task | str | None) -> Localisation:
        """The score of one file."""
        with naming(path):
            data = read_bytes(path)
            card = decode_patch(data)
        task = evaluation.task_for(path, card, self._split, wanted, self._data_dir)
        if set(task.made_head.targets) != {LABEL} or card.inputs:
            raise NoLocalisationError(
                f"{os.fspath(path)}: what is scored are the maps of an image's one class, by a "
                "patch that reads the image alone; give one of a classifier."
            )
        backbone = self._backbone(card.backbone)
        contents = decode_patch(data)
        names = taps_for(card, backbone.network.table)
        size = Preprocessing.from_json(card.preprocessing).size
        key = (card.backbone, size)
        network = None if looks_first(card) else self._networks.get(key)
        if network is None:
            prepare = first_look(contents)
            network = inference(backbone.network, examples_of(size), size, prepare, names)
            if not looks_first(card):
                self._networks[key] = network
        patch = opened(path, data, backbone, network=network)
        mapper = ClassMapper(patch, network)
        chosen, scored = (
            self._seen(mapper, network.examples, patch.preprocessing, task, split)
            for split in ("validation", self._split)
        )
        run = _run_of(path, card)
        return Localisation(
            path=os.fspath(path),
            card=card,
            places=self._places.name,
            setting=run.setting if run else "",
            seed=run.seed if run else 0,
            split=self._split,
            images=len(scored.classes),
            **self._figures(chosen, scored, task),
        )

    def _backbone(self, name: str) -> backbones.Loaded:
        if name not in self._bases:
            self._bases[name] = backbones.load(name, self._weights)
        return self._bases[name]

    def _seen(
        self, mapper: ClassMapper, most: int, how: Preprocessing, task: Task, split: str
    ) -> _Seen:
        labels = self._classes(task, split)
        key = (split, how, frozenset(labels))
        if key not in self._known:
            self._known[key] = known_places(self._places, split, how, labels, self._data_dir)
        known = self._known[key]
        classes = np.array([labels[name] for name in known.names], np.int64)
        maps, answers = [], []
        for start in range(0, len(classes), most):
            own = classes[start : start + most]
            pixels = np.zeros((most, *known.pixels.shape[1:]), np.uint8)
            pixels[: len(own)] = known.pixels[start : start + most]
            found = mapper.maps({"image": normalise(pixels, how)}, len(own), own)
            maps.append(found.maps)
            answers.append(found.answers)
        return _Seen(known, np.concatenate(maps), np.concatenate(answers), classes)

    def _classes(self, task: Task, split: str) -> Mapping[str, int]:
        """{name: class} of a split's examples."""
        key = (task.name, split)
        if key not in self._labels:
            examples = loading.open_split(task, split, self._data_dir)
            known = (
                (examples.known(index) for index in range(len(examples)))
                if isinstance(examples, ImageFileExamples)
                else iter(examples)
            )
            found = [(one["name"], int(one[LABEL])) for one in known]
            self._labels[key] = dict(found)
            if len(self._labels[key]) < len(found):
                raise NoLocalisationError(
                    f"task {task.name} has several images of one name in the split {split}, whose "
                    "places could not be told apart: give each its own."
                )
        return self._labels[key]

    def _figures(self, chosen: _Seen, scored: _Seen, task: Task) -> dict[str, Any]:
        ours = [scores.map_overlaps(seen.maps, seen.known.boxes) for seen in (chosen, scored)]
        middle = [self._centre(seen.known) for seen in (chosen, scored)]
        lines = []
        for name, own, other in (("", ours, middle), (f", {BEST}", ours[1:], middle[1:])):
            found, centre = (scores.box_accuracy(each[-1], each[0]) for each in (own, other))
            lines += [
                Line(f"{V1}{name}", found.v1, centre.v1),
                Line(f"{V2}{name}", found.v2, centre.v2),
            ]
        inside, counts = scored.known.inside, scored.known.counts
        if inside is not None and counts is not None:
            gaussian = np.broadcast_to(scores.centred_gaussian(*inside.shape[1:]), inside.shape)
            lines.append(
                Line(
                    PIXELS,
                    scores.pixel_average_precision(scored.maps, inside, counts),
                    scores.pixel_average_precision(gaussian, inside, counts),
                )
            )
        lines.append(Line(ACCURACY, float((scored.answers == scored.classes).mean()), None))
        if self._coarser is not None:
            parts = self._parts(task, self._coarser)
            right = parts[scored.answers] == parts[scored.classes]
            lines.append(Line(COARSER, float(right.mean()), None))
        return {"threshold": scores.best_threshold(ours[0]), "lines": tuple(lines)}

    def _centre(self, known: Known) -> Overlaps:
        key = id(known)  # which `_known` keeps
        if key not in self._overlaps:
            self._overlaps[key] = scores.centre_overlaps(known.boxes, *known.pixels.shape[1:3])
        return self._overlaps[key]

    def _parts(self, task: Task, coarser: Task) -> npt.NDArray[np.int64]:
        """Of each class of a task, the number of the coarser class that it is a part of."""
        found: dict[int, set[int]] = collections.defaultdict(set)
        for split in task.splits:
            own, others = self._classes(task, split), self._classes(coarser, split)
            for name in own.keys() & others.keys():
                found[own[name]].add(others[name])
        for number, label in enumerate(task.labels):
            if len(found[number]) != 1:
                said = ", ".join(coarser.labels[each] for each in sorted(found[number])) or "none"
                raise NoLocalisationError(
                    f"the class {label!r} of {task.name} is no part of one class of "
                    f"{coarser.name}, whose classes of its images are: {said}. Give a task whose "
                    "classes are made of whole ones.",
                    settings=["coarser"],
                )
        return np.array([min(found[number]) for number in range(len(task.labels))], np.int64)


def _run_of(path: str | os.PathLike[str], card: PatchCard) -> tidy.Measurement | None:
    """A row of the run that a file lies with, if there is one."""
    beside = pathlib.Path(path).parent / RESULTS
    rows = tidy.read(beside) if beside.is_file() else []
    return next((row for row in rows if (row.task, row.patch) == (card.task, card.patch)), None)
