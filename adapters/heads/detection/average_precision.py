"""Average precision of boxes, as COCO counts it, by faster-coco-eval."""

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError
from adapters.heads.contract import TargetError
from adapters.heads.detection.detections import Detections

Array = npt.NDArray[Any]


class EvaluatorMissingError(ModelPatchError):
    """What counts average precision is not installed."""


class AveragePrecision(NamedTuple):
    """Means over classes, and for the first also over least overlaps of 0.5, 0.55, ..., 0.95.

    Attributes:
      over_overlaps: COCO's AP.
      at_half: where a box counts as found from an intersection over union of 0.5 on.
    """

    over_overlaps: float
    at_half: float


def average_precision(
    truths: Sequence[Array], found: Sequence[Detections], classes: int
) -> AveragePrecision:
    """The score of what is found in images, 100 boxes of each at most.

    Lin et al., "Microsoft COCO", arXiv 1405.0312: precision is read at 101 recalls.

    Args:
      truths: of each image, [objects, 5]: left, top, right, bottom, class.
      found: of each image.
      classes: how many there are; one without objects is left out of the means.

    Raises TargetError where there is no object at all, and EvaluatorMissingError.
    """
    if not any(len(own) for own in truths):
        raise TargetError("average precision of no objects is undefined.")
    try:
        coco = importlib.import_module("faster_coco_eval")
    except ModuleNotFoundError as error:
        raise EvaluatorMissingError(
            "boxes are scored by faster-coco-eval, which is not installed: pip install "
            "'modelpatch[evaluation]'."
        ) from error
    known = coco.COCO(
        {
            "images": [{"id": number} for number in range(1, len(truths) + 1)],
            "categories": [{"id": number, "name": str(number)} for number in range(classes)],
            "annotations": [
                {"id": number, "iscrowd": 0, **row}
                for number, row in enumerate(_rows([(own[:, :4], own[:, 4]) for own in truths]), 1)
            ],
        }
    )
    answers = [
        {**row, "score": float(score)}
        for row, score in zip(
            _rows([(one.boxes, one.classes) for one in found]),
            np.concatenate([one.scores for one in found]),
            strict=True,
        )
    ]
    if not answers:
        return AveragePrecision(0.0, 0.0)
    scoring = coco.COCOeval_faster(known, known.loadRes(answers), "bbox", print_function=_silent)
    scoring.evaluate()
    scoring.accumulate()
    scoring.summarize()
    return AveragePrecision(float(scoring.stats[0]), float(scoring.stats[1]))


def _rows(images: Sequence[tuple[Array, Array]]) -> list[dict[str, Any]]:
    """Boxes and classes of images as COCO's files have them, one after the other."""
    rows = []
    for number, (boxes, classes) in enumerate(images, 1):
        low, sides = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
        for corner, side, label in zip(low.tolist(), sides.tolist(), classes, strict=True):
            row = {"image_id": number, "category_id": int(label), "bbox": [*corner, *side]}
            rows.append({**row, "area": side[0] * side[1]})
    return rows


def _silent(*said: object) -> None:
    del said
