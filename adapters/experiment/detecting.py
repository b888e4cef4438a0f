"""Objects found in image files: pictures with their boxes, and a COCO file of all of them."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters import files
from adapters.errors import ModelPatchError
from adapters.experiment import output
from adapters.experiment.answered_files import answered_files
from adapters.experiment.box_picture import framed
from adapters.experiment.predictions import AnyPrediction, BoxPrediction
from adapters.heads.contract import Head
from adapters.preprocessing import Preprocessing, view_of
from adapters.shown import shown

DOCUMENT = "detections.json"
LINE = 300  # pixels of an image for one of its frames' width


class NoDetectorError(ModelPatchError):
    """A patch that finds no objects."""


class Answering(Protocol):
    """What answers about an image: a patch on its backbone, or a backbone's own predictors."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def head(self) -> Head: ...

    @property
    def preprocessing(self) -> Preprocessing: ...

    def predict(self, image: Image.Image, inputs: Mapping[str, str], /) -> AnyPrediction: ...


class Detected(NamedTuple):
    """What is found in one image file.

    Attributes:
      path: of the image.
      boxes: [n, 4], left, top, right and bottom in pixels of the image as it is seen, surest first.
      scores: [n], how sure each is.
      labels: n texts.
      fault: why there is no answer; "" where there is.
    """

    path: str
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    fault: str = ""

    def __str__(self) -> str:
        said = ", ".join(
            f"{label} {score:.0%}" for label, score in zip(self.labels, self.scores, strict=True)
        )
        return f"{self.path}: {self.fault or said or 'nothing'}"


def detect_files(
    predictor: Answering,
    paths: Sequence[str],
    folder: str | os.PathLike[str],
    inputs: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Detected]:
    """What is found in each image file; `folder` is there when the last has been asked for.

    It holds a picture of each image with its boxes drawn, `0000_NAME.png`, and `DOCUMENT`: images,
    by their paths below the folder that all lie in, categories, and annotations with a `score`
    each, in COCO's format, so that they can be corrected and trained on. A file that cannot be read
    or answered has a `fault` and ends nothing.

    `inputs` are said of all images: {"query": "warning"}, say.

    Raises NoDetectorError, UnknownNameError for a query that the patch does not know,
    OutputFileError where `folder` is there already, and NotWrittenError.
    """
    check(predictor)
    output.new_file(folder)
    preprocessing = predictor.preprocessing
    document: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "categories": [{"id": n, "name": name} for n, name in enumerate(predictor.labels, 1)],
        "annotations": [],
    }
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths] or ["/"])
    with files.new_directory(folder) as aside:

        def answer(path: str, image: Image.Image, name: str) -> Detected:
            found = _detected(predictor, path, image, preprocessing, inputs)
            below = os.path.relpath(os.path.abspath(path), root)
            _add(document, below, image, found, predictor.labels)
            _picture(image, found, predictor.labels).save(aside / f"{name}.png")
            return found

        yield from answered_files(paths, preprocessing.background, answer, _faulty)
        (aside / DOCUMENT).write_text(json.dumps(document, indent=1) + "\n")


def check(predictor: Answering) -> None:
    """Raises NoDetectorError unless it finds objects."""
    if not any(target.per == "object" for target in predictor.head.targets.values()):
        raise NoDetectorError(
            f"the patch of the labels {shown(', '.join(predictor.labels))} predicts "
            f"{predictor.head.kind}, and finds no objects: give one that was trained on boxes."
        )


def _faulty(path: str, fault: str) -> Detected:
    nothing = np.zeros((0, 4), np.float32)
    return Detected(path, nothing, nothing[:, 0], (), fault)


def _detected(
    predictor: Answering,
    path: str,
    image: Image.Image,
    preprocessing: Preprocessing,
    inputs: Mapping[str, str],
) -> Detected:
    said = predictor.predict(image, inputs)
    assert isinstance(said, BoxPrediction)
    boxes = view_of(*image.size, preprocessing).boxes(said.boxes[0])
    pixels = (boxes * np.tile(image.size, 2)).astype(np.float32)
    labels = tuple(predictor.labels[int(number)] for number in said.classes[0])
    return Detected(path, pixels, said.scores[0], labels)


def _add(
    document: dict[str, list[dict[str, Any]]],
    name: str,
    image: Image.Image,
    found: Detected,
    labels: Sequence[str],
) -> None:
    """Puts an image and what is found in it into a document, numbered from one."""
    number = len(document["images"]) + 1
    size = {"width": image.width, "height": image.height}
    document["images"].append({"id": number, "file_name": name, **size})
    for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
        left, top, right, bottom = (round(float(value), 2) for value in box)
        wide, high = round(right - left, 2), round(bottom - top, 2)
        document["annotations"].append(
            {
                "id": len(document["annotations"]) + 1,
                "image_id": number,
                "category_id": labels.index(label) + 1,
                "bbox": [left, top, wide, high],
                "area": round(wide * high, 2),
                "iscrowd": 0,
                "score": round(float(score), 4),
            }
        )


def _picture(image: Image.Image, found: Detected, labels: Sequence[str]) -> Image.Image:
    return framed(
        image,
        found.boxes / np.tile(image.size, 2),
        [labels.index(label) for label in found.labels],
        [f"{a} {b:.0%}" for a, b in zip(found.labels, found.scores, strict=True)],
        max(1, round(max(image.size) / LINE)),
    )
