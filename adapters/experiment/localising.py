"""Where a classifier sees its class in image files: pictures with the map of it, and its boxes."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters import files
from adapters.experiment import output
from adapters.experiment.answered_files import answered_files
from adapters.experiment.box_picture import framed
from adapters.experiment.predictor import THRESHOLD, Predictor
from adapters.preprocessing import Preprocessing, view_of
from adapters.resizing import interpolation_at, transformed
from adapters.view import View

DOCUMENT = "places.json"
LINE = 300  # pixels of an image for one of its frames' width
STRONGEST = 0.7  # share of the colour where the map is highest
HEAT = (213, 94, 0)  # of the map, in RGB


class Localised(NamedTuple):
    """Where a class is seen in one image file.

    Attributes:
      path: of the image.
      label: the class.
      box: left, top, right and bottom in pixels of the image as it is seen, around the largest
        piece of the map; empty where the map is the same everywhere.
      fault: why there is no answer; "" where there is.
    """

    path: str
    label: str
    box: tuple[float, ...]
    fault: str = ""

    def __str__(self) -> str:
        place = ", ".join(f"{edge:.0f}" for edge in self.box) or "nowhere"
        return f"{self.path}: {self.fault or f'{self.label} at {place}'}"


def localise_files(
    predictor: Predictor,
    paths: Sequence[str],
    folder: str | os.PathLike[str],
    label: str | None = None,
    threshold: float = THRESHOLD,
) -> Iterator[Localised]:
    """Where a class is seen in each image file; `folder` is there when the last was asked for.

    It holds a picture of each image with the map laid over and a frame around its largest piece,
    `0000_NAME.png`, and `DOCUMENT`: of each image its label and box. A file that cannot be read or
    answered has a `fault` and ends nothing.

    Args:
      predictor: of a classifier.
      paths: of image files.
      folder: that is made.
      label: the class; by default each image's most probable one.
      threshold: as `Predictor.localise` has it.

    Raises NoClassMapError, UnknownNameError, SettingError, OutputFileError where `folder` is there
    already, and NotWrittenError.
    """
    predictor.check_localise(label, threshold)
    output.new_file(folder)
    preprocessing = Preprocessing.from_json(predictor.card.preprocessing)
    document = []
    with files.new_directory(folder) as aside:

        def answer(path: str, image: Image.Image, name: str) -> Localised:
            said = predictor.localise(image, label, threshold=threshold)
            boxes = said.boxes[0][:1]
            view = view_of(*image.size, preprocessing)
            picture = _heated(image, said.maps[0], view)
            width = max(1, round(max(image.size) / LINE))
            shown = predictor.labels.index(said.labels[0])
            framed(picture, boxes, [shown] * len(boxes), list(said.labels), width).save(
                aside / f"{name}.png"
            )
            edges = (boxes * np.tile(image.size, 2)).ravel().round(2).tolist()
            document.append({"file_name": path, "label": said.labels[0], "box": edges})
            return Localised(path, said.labels[0], tuple(edges))

        yield from answered_files(
            paths,
            preprocessing.background,
            answer,
            lambda path, fault: Localised(path, "", (), fault),
        )
        text = json.dumps({"threshold": threshold, "images": document}, indent=1)
        (aside / DOCUMENT).write_text(text + "\n")


def _heated(image: Image.Image, scores: npt.NDArray[np.float32], view: View) -> Image.Image:
    """The image with a map [S, S] of what the network saw of it laid over, in one colour."""
    size = len(scores)
    rows, columns = view.rows(), view.columns()
    large = transformed(
        scores[..., None],
        interpolation_at(size, rows * size),
        interpolation_at(size, columns * size),
    )
    seen = ((rows >= 0) & (rows <= 1))[:, None] & ((columns >= 0) & (columns <= 1))
    share = STRONGEST * np.where(seen[..., None], large, 0)
    return Image.fromarray(
        np.round(np.asarray(image) * (1 - share) + np.array(HEAT) * share).astype(np.uint8)
    )
