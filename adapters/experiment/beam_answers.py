"""A model that Beam's `RunInference` takes as it is: the answers of some patches.

To import this needs `apache-beam`.
"""

import importlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapters.experiment.batch_answers import BatchAnswers
from adapters.experiment.pictures import Picture

_inference: Any = importlib.import_module("apache_beam.ml.inference.base")


class BeamAnswers(_inference.ModelHandler):
    """Answers for elements that are images: bytes of image files, paths or pixels.

    What comes out is Beam's `PredictionResult` of the image and a mapping as `BatchAnswers.rows`
    gives: `TASK`, `TASK.probability` and `fault`. For elements (key, image) put it into Beam's
    `KeyedModelHandler`.
    """

    def __init__(
        self,
        patches: Sequence[str | os.PathLike[str]],
        weights: str | os.PathLike[str] | None = None,
        batch_size: int = 64,
    ):
        """Loads nothing yet; see `BatchAnswers`, which each worker makes one of."""
        super().__init__(max_batch_size=batch_size)
        self._patches, self._weights = list(patches), weights

    def load_model(self) -> BatchAnswers:
        """The patches, through every check; raises what `BatchAnswers` raises."""
        return BatchAnswers(self._patches, weights=self._weights)

    def run_inference(
        self,
        batch: Sequence[Picture],
        model: BatchAnswers,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[Any]:
        """One result an image, in their order."""
        del inference_args
        for image, row in zip(batch, model.rows(batch), strict=True):
            yield _inference.PredictionResult(image, row)
