"""From masks and their classes to the segments of an image; NumPy, as on devices."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from adapters.heads.classification import softmax
from adapters.heads.contract import (
    MOST_OF_CLASS,
    Array,
    Arrays,
    Figure,
    Metric,
    Segments,
    TargetError,
    finite,
)
from adapters.heads.masks.decoder import LOGITS, MASKS
from adapters.heads.masks.quality import counted, quality
from adapters.heads.runs import runs
from adapters.view import View

SEGMENTS = "segments"


class Answering(NamedTuple):
    """How masks become segments, and how these are told and scored.

    A pixel is of the mask that is the highest there; a mask is a segment where the class of no
    segment is less probable than one that is as sure as `threshold`. The filters of the published
    models, by area, overlap and a pixel's confidence, are left out.

    Attributes:
      stuff: the first so many labels are of surfaces: all their masks in an image are one segment.
      threshold: how sure a segment has to be.
    """

    stuff: int
    threshold: float

    def found(self, predictions: Arrays) -> Segments:
        """The segments of an image, without words."""
        masks = np.asarray(predictions[MASKS])
        sure = softmax(np.asarray(predictions[LOGITS]))
        classes, scores = sure[:, 1:].argmax(axis=1), sure[:, 1:].max(axis=1)
        seen = np.bincount(masks.argmax(axis=-1).ravel(), minlength=len(sure)) > 0
        kept = seen & (scores >= self.threshold) & (scores > sure[:, 0])
        owners = np.full(len(sure), -1)
        chosen: list[int] = []
        surfaces: dict[int, int] = {}
        for query in np.argsort(-scores, kind="stable"):
            if not kept[query]:
                continue
            label = int(classes[query])
            owners[query] = surfaces.get(label, len(chosen))
            if owners[query] == len(chosen):
                chosen.append(int(query))
                if label < self.stuff:
                    surfaces[label] = int(owners[query])
        return Segments("", classes[chosen], scores[chosen], owners, masks)

    def decode(self, labels: Sequence[str], predictions: Arrays) -> Segments:
        """`Head.decode`."""
        finite(predictions)
        found = self.found(predictions)
        counts = np.bincount(found.classes, minlength=len(labels))
        said = ", ".join(
            labels[each] if each < self.stuff else f"{count} {labels[each]}"
            for each, count in enumerate(counts)
            if count
        )
        return found._replace(label=said or "nothing")

    def listed(
        self, labels: Sequence[str], predictions: Arrays, view: View
    ) -> list[dict[str, Any]]:
        """`Head.listed`, of the segments that lie in the picture."""
        said = self.decode(labels, predictions)
        numbers = said.seen(view)
        rows = []
        for number, (label, score) in enumerate(zip(said.classes, said.scores, strict=True)):
            mask = numbers == number
            if mask.any():
                row = {"label": labels[label], "score": float(score), "share": float(mask.mean())}
                rows.append({**row, "segmentation": runs(mask)})
        return rows

    def mask(self, labels: Sequence[str], predictions: Arrays, view: View) -> Array:
        """`Head.mask`."""
        said = self.decode(labels, predictions)
        return said.labelled(said.seen(view))

    @property
    def metric(self) -> Metric:
        """Panoptic quality; also of surfaces and of things alone, where there are both."""
        return Metric("PQ", _no_counts, self._counted, self._figures)

    def _counted(self, counts: Array, predictions: Arrays, targets: Arrays) -> Array:
        for row, given in enumerate(targets[SEGMENTS]):
            truth = np.asarray(given)
            said = self.found({name: values[row] for name, values in predictions.items()})
            numbers = said.numbers(*truth.shape)
            counts = counts + counted(truth, numbers, said.classes, len(counts))
        return counts

    def _figures(self, counts: Array) -> dict[str, Figure]:
        if not counts.any():
            raise TargetError("panoptic quality of no examples is undefined.")
        whole = quality(counts)
        figures = dict(zip(("PQ", "SQ", "RQ"), whole, strict=True))
        if 0 < self.stuff < len(counts):
            figures["PQ of things"] = quality(counts[self.stuff :]).panoptic
            figures["PQ of surfaces"] = quality(counts[: self.stuff]).panoptic
        return {name: Figure(value, "fraction") for name, value in figures.items()}


def check_targets(queries: int) -> Callable[[Arrays], None]:
    """`Head.check_targets`, also of images of several sizes. Raises TargetError."""

    def check(targets: Arrays) -> None:
        most = 0
        for truth in targets[SEGMENTS]:
            known = np.asarray(truth)
            most = max(most, len(np.unique(known[known >= 0])))
        if not most:
            raise TargetError("no pixel of any example has a segment: there is nothing to learn.")
        if most > queries:
            raise TargetError(
                f"an example has {most} segments, and the head predicts {queries} at most: raise "
                "its setting queries."
            )

    return check


def _no_counts(outputs: int) -> Array:
    return np.zeros((outputs, 4))


MOST_LABELS = 2**15 // MOST_OF_CLASS
"""Of a task: more have no numbers for their segments (`preprocessing.prepare_classes`)."""
