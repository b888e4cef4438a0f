"""Class activation maps of an opened patch file."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.experiment.opening import OpenedPatch, examples_of
from adapters.heads import linear
from adapters.heads.contract import finite
from adapters.inference.class_maps import Maps, class_maps, taps_for
from adapters.inference.compiled import Inference, inference
from adapters.store.edits import apply_edits


class Mapped(NamedTuple):
    """Maps of N images.

    Attributes:
      maps: [N, S, S], from 0 to 1.
      classes: [N], the number of the class that each is of.
      answers: [N], the number of each one's most probable class.
    """

    maps: Maps
    classes: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int64]


class ClassMapper:
    """A patch's class maps, by a network that is compiled for what they read."""

    def __init__(self, patch: OpenedPatch, network: Inference):
        """`network` is as `compiled_for` gives it."""
        self._patch, self._network = patch, network
        self._names = taps_for(patch.contents, patch.backbone.network.table)
        self._weights = apply_edits(patch.backbone.weights, patch.contents.edits)

    def maps(
        self,
        inputs: Mapping[str, npt.NDArray[Any]],
        count: int,
        classes: npt.NDArray[np.int64] | None = None,
    ) -> Mapped:
        """Of the first `count` examples of a batch, the map of a class each.

        `classes` are their numbers, by default those of the most probable ones. Raises
        NoClassMapError for a patch that changes features after the mean, and NoAnswerError where
        what the network gives is not finite.
        """
        found = self._network.taps(self._weights, inputs)
        taps = {name: np.asarray(found[name])[:count] for name in self._names}
        finite(taps)
        head = self._patch.contents.head
        answers = linear.apply(head, taps)[linear.LOGITS].argmax(axis=-1)
        chosen = answers if classes is None else classes
        size = self._patch.preprocessing.size
        return Mapped(class_maps(taps, self._names, head, chosen, size), chosen, answers)


def compiled_for(patch: OpenedPatch) -> Inference:
    """The network of a patch that gives what its class maps read; raises as `taps_for`."""
    names = taps_for(patch.contents, patch.backbone.network.table)
    size = patch.preprocessing.size
    return inference(patch.backbone.network, examples_of(size), size, patch.prepare, names)
