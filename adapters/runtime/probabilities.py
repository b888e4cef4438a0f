"""From a task's logits to probabilities, on a device and in a server alike."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError

Real = TypeVar("Real", bound=np.floating)


class NoAnswerError(ModelPatchError):
    """A network's logits of an image are not finite."""


def probabilities(task: str, logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The softmax [classes] of a task's `logits` [classes]. Raises NoAnswerError."""
    if not np.isfinite(logits).all():
        raise NoAnswerError(
            f"{task} gives logits that are not finite for this image: its patch does not suit such "
            "images. Train it again, with images like this one among them."
        )
    return softmax(logits.astype(np.float64))


def softmax(logits: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """The softmax of `logits` [..., classes] over the last axis; it overflows for none."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
