"""Labels or segments of every pixel of image files: pictures with them laid over, and PNGs."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters import files
from adapters.experiment import output
from adapters.experiment.answered_files import answered_files
from adapters.experiment.predictor import Predictor
from adapters.heads.contract import Regions, Segments
from adapters.indexed_png import COLOURS, NOWHERE, indexed_png
from adapters.panoptic_png import panoptic_png
from adapters.preprocessing import Preprocessing

DOCUMENT = "labels.json"


class Segmented(NamedTuple):
    """What covers one image file.

    Attributes:
      path: of the image.
      shares: how much of what was seen of the image each label covers.
      fault: why there is no answer; "" where there is.
    """

    path: str
    shares: dict[str, float]
    fault: str = ""

    def __str__(self) -> str:
        said = ", ".join(f"{label} {share:.0%}" for label, share in self.shares.items() if share)
        return f"{self.path}: {self.fault or said}"


def segment_files(
    predictor: Predictor, paths: Sequence[str], folder: str | os.PathLike[str]
) -> Iterator[Segmented]:
    """What covers each image file; `folder` is there when the last has been asked for.

    It holds, of each image, a picture with the colours of labels laid over, `0000_NAME.png`, and an
    indexed PNG of the labels' numbers, `0000_NAME_mask.png`; and `DOCUMENT`, which names the labels
    by their numbers. Of a patch that tells segments, each has an outline, and there is also a PNG
    of the segments' numbers, `0000_NAME_segments.png`, which `DOCUMENT` describes: both as COCO has
    its panoptic results. A file that cannot be read or answered has a `fault` and ends nothing.

    Raises NoMaskError, OutputFileError where `folder` is there already, TooManyLabelsError, and
    NotWrittenError.
    """
    predictor.check_mask()
    output.new_file(folder)
    background = Preprocessing.from_json(predictor.card.preprocessing).background
    labels = predictor.labels
    annotations: list[dict[str, Any]] = []
    with files.new_directory(folder) as aside:

        def answer(path: str, image: Image.Image, name: str) -> Segmented:
            said, view = predictor.seen(image)
            assert isinstance(said, Regions | Segments)
            if isinstance(said, Segments):
                numbers = said.seen(view)
                mask = said.labelled(numbers)
                drawn = _outlined(_laid_over(image, mask), numbers)
                file = f"{name}_segments.png"
                (aside / file).write_bytes(panoptic_png(numbers + 1))
                described = {"file_name": file, "segments_info": _described(said, numbers)}
                annotations.append(described)
            else:
                mask = said.mask(view)
                drawn = _laid_over(image, mask)
            (aside / f"{name}_mask.png").write_bytes(indexed_png(mask, len(labels)))
            drawn.save(aside / f"{name}.png")
            counts = np.bincount(mask[mask >= 0], minlength=len(labels)) / max((mask >= 0).sum(), 1)
            order = np.argsort(-counts, kind="stable")
            return Segmented(path, {labels[number]: float(counts[number]) for number in order})

        yield from answered_files(
            paths, background, answer, lambda path, fault: Segmented(path, {}, fault)
        )
        document: dict[str, Any] = {"labels": list(labels), "nowhere": NOWHERE}
        if annotations:
            document["annotations"] = annotations
        (aside / DOCUMENT).write_text(json.dumps(document, indent=1) + "\n")


def _described(said: Segments, numbers: npt.NDArray[np.int32]) -> list[dict[str, Any]]:
    """What COCO calls `segments_info`, of those that lie in the picture."""
    areas = np.bincount(numbers[numbers >= 0], minlength=len(said.classes))
    return [
        {
            "id": number + 1,
            "category_id": int(said.classes[number]),
            "score": float(said.scores[number]),
            "area": int(area),
        }
        for number, area in enumerate(areas)
        if area
    ]


def _outlined(image: Image.Image, numbers: npt.NDArray[np.int32]) -> Image.Image:
    """The image with the pixels in white that have another segment right of them or below."""
    after = np.pad(numbers, ((0, 1), (0, 1)), mode="edge")
    edge = (after[1:, :-1] != numbers) | (after[:-1, 1:] != numbers)
    return Image.fromarray(np.where(edge[..., None], np.uint8(255), np.asarray(image)))


def _laid_over(image: Image.Image, mask: npt.NDArray[np.int32]) -> Image.Image:
    """The image with half of each label's colour in it; what was not seen stays as it is."""
    pixels = np.asarray(image)
    mixed = (pixels.astype(np.uint16) + np.array(COLOURS, np.uint16)[mask % len(COLOURS)]) // 2
    return Image.fromarray(np.where(mask[..., None] < 0, pixels, mixed).astype(np.uint8))
