"""What a patch says of images, a type for each kind of head."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Prediction(NamedTuple):
    """What a patch says of N images, of a head that tells labels.

    Attributes:
      labels: N texts: the most probable label of each image, or those that hold.
      probabilities: [N, labels], in the order of the patch's labels.
    """

    labels: tuple[str, ...]
    probabilities: npt.NDArray[np.float64]


class NumberPrediction(NamedTuple):
    """What a patch says of N images, of a head that tells numbers.

    Attributes:
      labels: N texts, the answer of each image in words.
      values: [N, labels], in the order of the patch's labels and in the task's unit.
    """

    labels: tuple[str, ...]
    values: npt.NDArray[np.float64]


class RegionPrediction(NamedTuple):
    """What a patch says of N images, of a head that tells a label for every pixel.

    Attributes:
      labels: N texts, the answer of each image in words.
      shares: [N, labels], how much of each image a label covers, in the order of the labels.
      classes: [N, S, S], the number of each pixel's label, of the image as the network saw it.
    """

    labels: tuple[str, ...]
    shares: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int32]


class PanopticPrediction(NamedTuple):
    """What a patch says of N images, of a head that tells which segment each pixel is of.

    Attributes:
      labels: N texts, the answer of each image in words.
      segments: [N, S, S], the number of each pixel's segment, of the image as the network saw it;
        -1 where there is none.
      classes: of each image [n], the number of each segment's label, the surest segment first.
      scores: of each image [n], how sure each segment is.
    """

    labels: tuple[str, ...]
    segments: npt.NDArray[np.int32]
    classes: tuple[npt.NDArray[np.int64], ...]
    scores: tuple[npt.NDArray[np.float32], ...]


class BoxPrediction(NamedTuple):
    """What a patch says of N images, of a head that finds objects.

    Attributes:
      labels: N texts, the answer of each image in words.
      boxes: of each image [n, 4], left, top, right and bottom in parts of the image's sides, the
        surest first.
      scores: of each image [n], how sure each box is.
      classes: of each image [n], the number of each box's label.
    """

    labels: tuple[str, ...]
    boxes: tuple[npt.NDArray[np.float32], ...]
    scores: tuple[npt.NDArray[np.float32], ...]
    classes: tuple[npt.NDArray[np.int64], ...]


class PlacePrediction(NamedTuple):
    """Where a patch sees a class in each of N images.

    Attributes:
      labels: N texts, the class that each map is of.
      maps: [N, S, S], from 0 to 1, of the image as the network saw it; 0 where it is all the same.
      boxes: of each image [n, 4], left, top, right and bottom in parts of the image's sides, around
        each connected piece above the threshold, the largest piece first.
    """

    labels: tuple[str, ...]
    maps: npt.NDArray[np.float32]
    boxes: tuple[npt.NDArray[np.float32], ...]


AnyPrediction = (
    Prediction | NumberPrediction | RegionPrediction | PanopticPrediction | BoxPrediction
)
