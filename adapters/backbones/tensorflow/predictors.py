"""A published SSD's predictors: TensorFlow's tensors as the leaves of our head `ssdlite`.

As research/object_detection's `ConvolutionalBoxPredictor` names them: `BoxPredictor_0` reads the
finest map. A leaf is called as in a patch file, `1/classes/w`. Ours has one depthwise convolution
whose norm is folded, and tells offsets as x, y, width and height where TensorFlow has y, x, height
and width. SSD's predictors, which have no depthwise convolution, get one that changes nothing: the
maps that they read are between 0 and 6. TensorFlow takes a sigmoid of each class, and throws away
the score of the background; a softmax over nothing, with its score at 0, and one class is the same.
"""

import math
from collections.abc import Mapping

import numpy as np

from adapters.backbones.conversion_error import ConversionError
from adapters.backbones.stored import Tensor, Tree, tables
from adapters.backbones.table import LayerTable
from adapters.backbones.taps import channels
from adapters.modules import NECK

_SCOPE = "BoxPredictor_"
_MAPS = ("stride_16/expand", "stride_32", *(f"{NECK}_{number:02d}" for number in (2, 4, 6, 8)))
_BRANCHES = {"classes": "ClassPredictor", "boxes": "BoxEncodingPredictor"}
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_SIDES = [1, 0, 3, 2]  # of (y, x, height, width), what stands at x, y, width and height


def apart(tree: Tree) -> tuple[Tree, dict[str, Tensor]]:
    """A frozen graph's tensors without those of its predictors, and those of its predictors."""
    ((_, tensors),) = tables(tree)
    own = {name: tensor for name, tensor in tensors.items() if name.startswith(_SCOPE)}
    return {name: tensor for name, tensor in tensors.items() if name not in own}, own


def predictors(
    tensors: Mapping[str, Tensor], table: LayerTable, epsilon: float, classes: int
) -> dict[str, np.ndarray]:
    """The leaves, float32, of the predictors of so many classes.

    One class is for a head with a softmax over nothing and it, several are for `scores=sigmoid`.

    Args:
      tensors: of a whole detector, by name.
      table: of the backbone with its neck `ssdlite` or `ssd`.
      epsilon: of the norms.
      classes: without the background.

    Raises ConversionError, whose `faults` are all that is missing, of a wrong shape or of no
    predictor of so many classes.
    """
    found: dict[str, np.ndarray] = {}
    faults: list[str] = []

    def read(name: str, *shape: int) -> np.ndarray:
        tensor = tensors.get(name)
        if tensor is None or tuple(tensor.shape) != shape or tensor.dtype.kind != "f":
            faults.append(f"missing, or of another shape: {name} {list(shape)}")
            return np.ones(shape, np.float32)
        return np.asarray(tensor, np.float32)

    def depthwise(scope: str, width: int) -> dict[str, np.ndarray]:
        if not any(name.startswith(f"{scope}/") for name in tensors):
            return {"depthwise": _unchanging(width), "offset": np.zeros(width, np.float32)}
        kernel = read(f"{scope}/depthwise_weights", 3, 3, width, 1)
        scale, offset, mean, var = (read(f"{scope}/BatchNorm/{leaf}", width) for leaf in _NORM)
        gain = scale / np.sqrt(var + np.float32(epsilon))
        return {"depthwise": kernel[..., 0] * gain, "offset": offset - mean * gain}

    scores = _softmax if classes == 1 else _sigmoids
    for number, width in enumerate((channels(table, name) for name in _MAPS), 1):
        for branch, theirs in _BRANCHES.items():
            scope = f"{_SCOPE}{number - 1}/{theirs}"
            bias = f"{scope}/biases"
            values = 1 + classes if branch == "classes" else len(_SIDES)
            total = math.prod(tensors[bias].shape) if bias in tensors else values
            matrix = read(f"{scope}/weights", 1, 1, width, total)
            b = read(bias, total)
            if not total or total % values:
                faults.append(f"{bias} has {total} values, which are no {values} for each anchor")
                continue
            ours = _offsets if branch == "boxes" else scores
            own = {
                **depthwise(f"{scope}_depthwise", width),
                "w": ours(matrix.reshape(width, -1, values)),
                "b": ours(b.reshape(-1, values)),
            }
            found |= {f"{number}/{branch}/{leaf}": array for leaf, array in own.items()}
    if faults:
        raise ConversionError(
            f"the predictors are not TensorFlow's of this number of classes, {classes} "
            f"({len(faults)} faults):",
            faults,
        )
    return found


def _unchanging(width: int) -> np.ndarray:
    kernel = np.zeros((3, 3, width), np.float32)
    kernel[1, 1] = 1
    return kernel


def _offsets(theirs: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(theirs[..., _SIDES])


def _sigmoids(theirs: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(theirs[..., 1:])


def _softmax(theirs: np.ndarray) -> np.ndarray:
    ours = theirs.copy()
    ours[..., 0] = 0
    return ours
