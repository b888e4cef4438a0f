"""A detector that comes whole with a backbone: its predictors find objects without any patch."""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from adapters.backbones.checkpoint import Predicts
from adapters.backbones.pretrained import PRETRAINED
from adapters.errors import ModelPatchError
from adapters.experiment import backbones
from adapters.experiment.pictures import Picture, picture
from adapters.experiment.predictions import BoxPrediction
from adapters.experiment.predictor import PredictionInputError
from adapters.heads.contract import Boxes, Head
from adapters.heads.registry import from_spec
from adapters.inference.compiled import Inference, inference, predictions
from adapters.preprocessing import Preprocessing, normalise, prepare


class NoPredictorsError(ModelPatchError):
    """A backbone that brings no predictors of its own."""


@dataclasses.dataclass(frozen=True, eq=False)
class PublishedDetector:
    """A backbone with its own predictors; `load` makes one.

    Attributes:
      backbone: with its neck.
      told: what its predictors predict.
      weights: of the predictors.
    """

    backbone: backbones.Loaded
    told: Predicts
    weights: Mapping[str, npt.NDArray[np.float32]]

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of their numbers."""
        return self.told.labels

    @functools.cached_property
    def head(self) -> Head:
        """Of the kind that its predictors are of."""
        return from_spec(self.told.head)

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes the network's input."""
        checkpoint = self.backbone.checkpoint
        return Preprocessing(self.told.size, checkpoint.mean, checkpoint.std)

    def predict(
        self, image: Picture, inputs: Mapping[str, npt.ArrayLike] | None = None
    ) -> BoxPrediction:
        """What is found in one image.

        Raises PictureError, PredictionInputError for any `inputs`, and NoAnswerError.
        """
        if inputs:
            raise PredictionInputError(
                f"{self.backbone.name} reads nothing beside the image, and is given "
                f"{', '.join(inputs)}: ask a patch that follows it."
            )
        opened = picture(image, self.preprocessing.background)
        pixels = normalise(prepare(opened, self.preprocessing), self.preprocessing)
        found = predictions(
            *(self._network, self.backbone.weights, self.weights),
            *({"image": pixels[None]}, self.head.apply),
        )
        one = self.head.decode(self.labels, {name: rows[0] for name, rows in found.items()})
        assert isinstance(one, Boxes)
        return BoxPrediction((one.label,), (one.boxes,), (one.scores,), (one.classes,))

    @functools.cached_property
    def _network(self) -> Inference:
        return inference(self.backbone.network, 1, self.told.size, taps=self.head.taps)


def load(name: str) -> PublishedDetector:
    """The detector that the backbone called `name` brings.

    Raises NoPredictorsError, and what `backbones.load` raises.
    """
    backbone = backbones.load(name)
    told, weights = backbone.checkpoint.predicts, backbone.checkpoint.head
    if told is None or weights is None:
        known = [own for own, origin in PRETRAINED.items() if origin.predicts is not None]
        raise NoPredictorsError(
            f"the backbone {name} brings no predictors of objects: choose one that does "
            f"({', '.join(known)}), or give a patch.",
            settings=["backbone"],
        )
    return PublishedDetector(backbone, told, weights)
