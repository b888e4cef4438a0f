"""How a split was answered class by class: what an accuracy alone hides."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BINS = 15  # of confidence, as in arXiv 1706.04599


class ClassFigures(NamedTuple):
    """How one class was answered.

    Attributes:
      label: its name.
      images: how many are of it.
      answered: how many were taken for it.
      found: how many are of it and were taken for it.
    """

    label: str
    images: int
    answered: int
    found: int

    @property
    def recall(self) -> float | None:
        """The share of its images that were found; None where it has none."""
        return self.found / self.images if self.images else None

    @property
    def precision(self) -> float | None:
        """The share of its answers that are right; None where nothing was taken for it."""
        return self.found / self.answered if self.answered else None


class Bin(NamedTuple):
    """The answers of which the network was about equally sure.

    Attributes:
      lowest, highest: their confidence lies above the one, and at the other or below.
      images: how many they are.
      confidence: their mean probability; 0 where there are none.
      accuracy: the share of them that is right; 0 where there are none.
    """

    lowest: float
    highest: float
    images: int
    confidence: float
    accuracy: float


class Assessment(NamedTuple):
    """What a classifier answered to each image of a split, in its order.

    Attributes:
      labels: the classes.
      truth: the class of each image, by number.
      answers: what it was taken for.
      confidence: the probability of that answer.
    """

    labels: tuple[str, ...]
    truth: tuple[int, ...]
    answers: tuple[int, ...]
    confidence: tuple[float, ...]

    @property
    def counts(self) -> Array:
        """How often each class (row) was taken for each (column): [classes, classes]."""
        return pair_counts(np.array(self.truth), np.array(self.answers), len(self.labels))

    @property
    def classes(self) -> list[ClassFigures]:
        """Each class's figures, in the order of the labels."""
        counts = self.counts
        columns = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
        return [
            ClassFigures(label, *map(int, own))
            for label, own in zip(self.labels, zip(*columns, strict=True), strict=True)
        ]

    @property
    def missed(self) -> list[ClassFigures]:
        """The classes that have images and that no image was taken for."""
        return [one for one in self.classes if one.images and not one.answered]

    @property
    def bins(self) -> list[Bin]:
        """The answers by their confidence, in `BINS` steps from 0 to 1."""
        sure = np.array(self.confidence)
        right = np.equal(self.truth, self.answers)
        edges = np.linspace(0, 1, BINS + 1)
        # A confidence on an edge belongs to the bin below it, as 1.0 does.
        places = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, BINS - 1)
        inside = [places == place for place in range(BINS)]
        return [
            Bin(
                float(edges[place]),
                float(edges[place + 1]),
                int(own.sum()),
                float(sure[own].mean()) if own.any() else 0.0,
                float(right[own].mean()) if own.any() else 0.0,
            )
            for place, own in enumerate(inside)
        ]

    @property
    def calibration_error(self) -> float:
        """The expected calibration error: mean distance of a bin's confidence to its accuracy.

        Bins count by their images. Guo, Pleiss, Sun, Weinberger, arXiv 1706.04599, equation 3.
        """
        gaps = (one.images * abs(one.confidence - one.accuracy) for one in self.bins)
        return sum(gaps) / len(self.truth)

    @property
    def mistakes(self) -> list[int]:
        """The images that were answered wrongly, by place, those of the surest answer first."""
        wrong = np.flatnonzero(np.not_equal(self.truth, self.answers))
        order = np.argsort(-np.array(self.confidence)[wrong], kind="stable")
        return wrong[order].tolist()


def pair_counts(truth: Array, answers: Array, classes: int) -> Array:
    """How often each class (row) was taken for each (column): [classes, classes].

    Args:
      truth, answers: integers [N], which must lie in 0..classes-1.
      classes: how many there are.
    """
    pairs = truth.astype(np.int64) * classes + answers.astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def balanced_accuracy(counts: Array) -> float:
    """The mean recall of the classes that have images.

    Args:
      counts: [classes, classes], as `pair_counts` gives them; one at least is above 0.
    """
    images = counts.sum(axis=1)
    some = images > 0
    return float(np.mean(np.diag(counts)[some] / images[some]))


def majority_baseline(counts: Array) -> float:
    """The accuracy of who always answers the class that most images are of.

    Args:
      counts: as those of `balanced_accuracy`.
    """
    return float(counts.sum(axis=1).max() / counts.sum())
