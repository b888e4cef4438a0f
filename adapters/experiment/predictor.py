"""A patch file that answers, in JAX."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters.analysis.localisation import boxes_above
from adapters.errors import ModelPatchError, UnknownNameError
from adapters.experiment import backbones, evaluation
from adapters.experiment.chosen_tasks import Wanted, chosen_one
from adapters.experiment.class_mapper import ClassMapper, compiled_for
from adapters.experiment.opening import OpenedPatch, examples_of, opened
from adapters.experiment.pictures import Picture, PictureError, listed, picture
from adapters.experiment.predictions import (
    AnyPrediction,
    BoxPrediction,
    NumberPrediction,
    PanopticPrediction,
    PlacePrediction,
    Prediction,
    RegionPrediction,
)
from adapters.experiment.settings import SettingError
from adapters.heads.contract import Answer, Arrays, Boxes, Head, Regions, Said, Segments, Values
from adapters.heads.registry import head_of
from adapters.inference.class_maps import taps_for
from adapters.inference.compiled import predictions
from adapters.patches.contract import Patch
from adapters.preprocessing import (
    Preprocessing,
    normalise,
    prepare,
    view_of,
)
from adapters.store.contents import PatchCard
from adapters.store.edits import apply_edits
from adapters.store.errors import naming
from adapters.store.read import decode_patch, read_bytes
from adapters.view import View
from adapters.words import numbers, unsaid

THRESHOLD = 0.2  # of a class's map: Zhou et al., arXiv 1512.04150, section 3.2
BATCHES = (1, 8, 64)  # images in a call; others are filled up


class PredictionInputError(ModelPatchError):
    """What is given beside the images is not what the patch reads."""


class NoMaskError(ModelPatchError):
    """A patch that tells no label for each pixel."""


class Predictor:
    """A patch on its backbone, through every check of its file; `load` makes one."""

    def __init__(self, patch: OpenedPatch, path: str | os.PathLike[str]):
        self._patch, self._path = patch, path
        self._weights = apply_edits(patch.backbone.weights, patch.contents.edits)

    @property
    def card(self) -> PatchCard:
        """All that the file says of itself."""
        return self._patch.contents

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the probabilities."""
        return self._patch.contents.labels

    @property
    def head(self) -> Head:
        """What the patch predicts, and how it says it."""
        return head_of(self._patch.contents)

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes the network's input."""
        return self._patch.preprocessing

    def predict(
        self,
        images: Picture | Sequence[Picture],
        inputs: Mapping[str, npt.ArrayLike] | None = None,
    ) -> AnyPrediction:
        """What the patch says of one image or of many, made ready as the training images were.

        Args:
          images: uint8 [N, H, W, 3] or [H, W, 3]; or a path, a file's bytes or a Pillow image; or
            a list of any of these.
          inputs: {name: [N, ...]}, what the patch reads beside the image; most read nothing. What
            can be said in words (`card.words`) may be a text, for all images, or N texts, and may
            be left out where the list has an empty text.

        Raises:
          PictureError: what is given is no image, or cannot be read.
          UnknownNameError: a text that the patch does not know; the message lists those it does.
          PredictionInputError: the patch reads another input, or an input of another shape, or
            what is given are no finite numbers.
          NoAnswerError: the patched network overflows on an image.
        """
        head = head_of(self._patch.contents)
        answers = [head.decode(self.labels, one) for one, _ in self._predictions(images, inputs)]
        boxes = [one for one in answers if isinstance(one, Boxes)]
        if boxes:
            return BoxPrediction(*zip(*boxes, strict=True))
        size = self._patch.preprocessing.size
        segments = [one for one in answers if isinstance(one, Segments)]
        if segments:
            return PanopticPrediction(
                tuple(one.label for one in segments),
                np.array([one.numbers(size, size) for one in segments]),
                tuple(one.classes for one in segments),
                tuple(one.scores for one in segments),
            )
        rows = [[_numbers_of(one)[label] for label in self.labels] for one in answers]
        table = np.asarray(rows, np.float64).reshape(len(answers), len(self.labels))
        said = tuple(one.label for one in answers)
        if any(isinstance(one, Values) for one in answers):
            return NumberPrediction(said, table)
        regions = [one.classes(size, size) for one in answers if isinstance(one, Regions)]
        return (
            RegionPrediction(said, table, np.array(regions)) if regions else Prediction(said, table)
        )

    def listed(
        self,
        images: Picture | Sequence[Picture],
        inputs: Mapping[str, npt.ArrayLike] | None = None,
    ) -> list[list[dict[str, Any]]]:
        """`predict` as JSON: of each image a list of labels, the most telling first.

        What else stands beside a `label` is the head's: a classifier's `probability`, for one.
        Places are in pixels of the image as it was given. Raises what `predict` raises.
        """
        head = head_of(self._patch.contents)
        return [head.listed(self.labels, *one) for one in self._predictions(images, inputs)]

    def seen(self, image: Picture) -> tuple[Said, View]:
        """What the patch says of one image, and how the network saw it; raises as `predict`."""
        ((found, view),) = self._predictions(image, None)
        return head_of(self._patch.contents).decode(self.labels, found), view

    def mask(self, image: Picture) -> npt.NDArray[np.int32]:
        """The number of the label of each pixel of an image, [H, W]; -1 where none was seen.

        Raises NoMaskError for a patch that tells no such labels, and what `predict` raises.
        """
        mask = self.check_mask()
        ((found, view),) = self._predictions(image, None)
        return mask(self.labels, found, view)

    def check_mask(self) -> Callable[[Sequence[str], Arrays, View], npt.NDArray[np.int32]]:
        """`Head.mask` of the patch's head. Raises NoMaskError where it has none."""
        mask = head_of(self._patch.contents).mask
        if mask is None:
            raise NoMaskError(
                f"the patch for {self.card.task} predicts {self.card.head_kind}, and tells no "
                "label for each pixel: give one that was trained on masks."
            )
        return mask

    def _predictions(
        self, images: Picture | Sequence[Picture], inputs: Mapping[str, npt.ArrayLike] | None
    ) -> Iterator[tuple[dict[str, npt.NDArray[Any]], View]]:
        """What the head predicts of each image, by name, and how the network saw it."""
        contents = self._patch.contents
        for batch, views in self._batches(images, inputs):
            found = predictions(
                *(self._patch.network, self._weights, contents.head),
                *(batch, head_of(contents).apply),
            )
            for row, view in enumerate(views):
                yield {name: rows[row] for name, rows in found.items()}, view

    def _batches(
        self, images: Picture | Sequence[Picture], inputs: Mapping[str, npt.ArrayLike] | None
    ) -> Iterator[tuple[dict[str, npt.NDArray[Any]], list[View]]]:
        """The network's inputs, filled up to batches, and how it sees each image in one."""
        pixels, views = [], []
        for image in listed(images):
            opened_image = picture(image, self._patch.preprocessing.background)
            pixels.append(self._input(opened_image))
            views.append(view_of(*opened_image.size, self._patch.preprocessing))
        others = self._others({} if inputs is None else inputs, len(pixels))
        for start in range(0, len(pixels), self._most):
            part = slice(start, start + self._most)
            given = {name: values[part] for name, values in others.items()}
            batch = {"image": np.stack(pixels[part]), **given}
            yield self._filled(batch, len(batch["image"])), views[part]

    def localise(
        self,
        images: Picture | Sequence[Picture],
        labels: str | Sequence[str] | None = None,
        inputs: Mapping[str, npt.ArrayLike] | None = None,
        *,
        threshold: float = THRESHOLD,
    ) -> PlacePrediction:
        """Where in one image or in many the patch sees a class: its class activation map.

        Args:
          images, inputs: as `predict` takes them.
          labels: the class of all images, or one of each; by default each one's most probable.
          threshold: from 0 to below 1; what the map has above it is inside of a box. The default is
            that of arXiv 1512.04150; a better one is chosen on images whose boxes are known, see
            `adapters.experiment.localisation`.

        Raises NoClassMapError for a patch without such maps (boxes, numbers and so on),
        UnknownNameError for a label that it does not have, PictureError for another number of
        labels than of images, SettingError for the threshold, and what `predict` raises.
        """
        self.check_localise(None, threshold)
        mapper, given = self._mapper, listed(images)
        wanted = None if labels is None else self._classes_of(labels, len(given))
        maps: list[npt.NDArray[np.float32]] = []
        boxes: list[npt.NDArray[np.float32]] = []
        classes: list[int] = []
        for batch, views in self._batches(given, inputs):
            own = None if wanted is None else wanted[len(maps) : len(maps) + len(views)]
            found = mapper.maps(batch, len(views), own)
            classes.extend(found.classes.tolist())
            for one, view in zip(found.maps, views, strict=True):
                boxes.append(view.boxes(boxes_above(one, threshold) / len(one)))
                maps.append(one)
        said = tuple(self.labels[number] for number in classes)
        return PlacePrediction(said, np.array(maps), tuple(boxes))

    def check_localise(self, label: str | None = None, threshold: float = THRESHOLD) -> None:
        """Raises what `localise` would, of the patch, one label of it and a threshold."""
        taps_for(self.card, self._patch.backbone.network.table)
        if not 0 <= threshold < 1:
            raise SettingError("threshold", f"must be from 0 to below 1, not {threshold}.")
        if label is not None:
            self._classes_of(label, 1)

    @functools.cached_property
    def _mapper(self) -> ClassMapper:
        return ClassMapper(self._patch, compiled_for(self._patch))

    def _classes_of(self, labels: str | Sequence[str], count: int) -> npt.NDArray[np.int64]:
        texts = [labels] * count if isinstance(labels, str) else list(labels)
        if len(texts) != count:
            raise PictureError(f"{len(texts)} labels are given for {count} images: give one each.")
        for text in texts:
            if text not in self.labels:
                raise UnknownNameError(f"label of {self.card.task}", text, self.labels)
        return np.array([self.labels.index(text) for text in texts], np.int64)

    def evaluate(
        self, task: Wanted | None = None, *, split: str = "test", data_dir: str | None = None
    ) -> evaluation.Evaluation:
        """The patch's score on a split of its task, or of `task`; raises as `adapters.evaluate`."""
        patch, wanted = self._patch, None if task is None else chosen_one(task, data_dir)
        with_task = evaluation.Opened(
            contents=patch.contents,
            prepare=patch.prepare,
            backbone=patch.backbone,
            preprocessing=patch.preprocessing,
            network=patch.network,
            task=evaluation.task_for(self._path, patch.contents, split, wanted, data_dir),
        )
        return evaluation.score(self._path, with_task, split, data_dir)

    def __repr__(self) -> str:
        return f"<Predictor of {self.card.task}: {len(self.labels)} outputs, {self.card.patch}>"

    @property
    def _most(self) -> int:
        return examples_of(self._patch.preprocessing.size)

    def _filled(
        self, batch: Mapping[str, npt.NDArray[Any]], count: int
    ) -> dict[str, npt.NDArray[Any]]:
        """The batch with zeros after it, up to one of a few sizes: no other is compiled."""
        size = next(size for size in (*BATCHES, self._most) if size >= count)
        rows = min(size, self._most) - count
        return {
            name: np.concatenate([own, np.zeros((rows, *own.shape[1:]), own.dtype)])
            for name, own in batch.items()
        }

    def _others(
        self, inputs: Mapping[str, npt.ArrayLike], count: int
    ) -> dict[str, npt.NDArray[np.float32]]:
        wanted = {name: (count, *shape) for name, shape in self._patch.contents.inputs.items()}
        if not isinstance(inputs, Mapping):
            raise PredictionInputError(
                f"inputs is {type(inputs).__name__}; it must be {{name: numbers}}, here of the "
                f"shapes {wanted or '{}'}."
            )
        given = self._unsaid(count) | {
            name: self._in_numbers(name, values, count) for name, values in inputs.items()
        }
        found = {name: values.shape for name, values in given.items()}
        if found != wanted:
            raise PredictionInputError(
                f"beside {count} images the patch reads {wanted or 'nothing'}, it is given "
                f"{found or 'nothing'}: {{name: shape}}."
            )
        for name, values in given.items():
            if not np.isfinite(values).all():
                raise PredictionInputError(f"the input {name} must be finite numbers in float32.")
        return given

    def _unsaid(self, count: int) -> dict[str, npt.NDArray[np.float32]]:
        """What is left out, as it is read."""
        contents = self._patch.contents
        silent = unsaid(contents.inputs, contents.words)
        return {name: np.tile(own, (count, 1)) for name, own in silent.items()}

    def _in_numbers(self, name: str, values: npt.ArrayLike, count: int) -> npt.NDArray[np.float32]:
        contents = self._patch.contents
        texts = [values] * count if isinstance(values, str) else values
        if isinstance(values, str) and name not in contents.words:
            raise PredictionInputError(
                f"the patch for {contents.task} does not read {name} in words; in words it reads "
                f"{', '.join(contents.words) or 'nothing'}."
            )
        if name not in contents.words or not isinstance(texts, Sequence):
            return _numbers(name, values)
        if not all(isinstance(text, str) for text in texts):
            return _numbers(name, values)
        words, (length,) = contents.words[name], contents.inputs[name]
        return np.array([numbers(name, str(text), words, length) for text in texts])

    def _input(self, image: Image.Image) -> npt.NDArray[np.float32]:
        preprocessing = self._patch.preprocessing
        return normalise(prepare(image, preprocessing), preprocessing)


def load(
    path: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    patch: Patch | None = None,
) -> Predictor:
    """The patch file at `path`, once it has passed every check of a reader.

    Its backbone must have the fingerprint that it states, its preprocessing must be the backbone's,
    and the logits that it states must come out.

    Args:
      path: of the file.
      weights: the backbone's local checkpoint, where it brings none.
      patch: that the file was trained with; needed only where it looks at images and no spec names
        it.

    Raises:
      PatchFileError: the file fails a check.
      PatchNeededError: it cannot be used without `patch`.
      WeightsNeededError: its backbone brings no weights.
    """
    with naming(path):
        data = read_bytes(path)
        card = decode_patch(data)
    return Predictor(opened(path, data, backbones.load(card.backbone, weights), patch=patch), path)


def _numbers_of(answer: Said) -> Mapping[str, float]:
    match answer:
        case Answer():
            return answer.probabilities
        case Values():
            return answer.values
        case Regions():
            return answer.shares
        case Boxes() | Segments():
            raise TypeError("boxes and segments have no number for each label")


def _numbers(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            return np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise PredictionInputError(f"the input {name} must be numbers in an array.") from error
