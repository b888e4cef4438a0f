"""A published SSDLite's predictors: TensorFlow's tensors as the leaves of our head `ssdlite`.

As research/object_detection's `ConvolutionalBoxPredictor` names them: `BoxPredictor_0` reads the
finest map. A leaf is called as in a patch file, `1/classes/w`. Ours has one depthwise convolution
whose norm is folded, tells offsets as x, y, width and height where TensorFlow has y, x, height and
width, and takes a softmax over nothing and classes where TensorFlow takes a sigmoid of each: with
nothing's score at 0, that of one class is the same.
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
_COLUMNS = 2  # the background, whose score TensorFlow throws away, and the class
_SIDES = [1, 0, 3, 2]  # of (y, x, height, width), what stands at x, y, width and height


def apart(tree: Tree) -> tuple[Tree, dict[str, Tensor]]:
    """A frozen graph's tensors without those of its predictors, and those of its predictors."""
    ((_, tensors),) = tables(tree)
    own = {name: tensor for name, tensor in tensors.items() if name.startswith(_SCOPE)}
    return {name: tensor for name, tensor in tensors.items() if name not in own}, own


def predictors(
    tensors: Mapping[str, Tensor], table: LayerTable, epsilon: float
) -> dict[str, np.ndarray]:
    """The leaves, float32, of the predictors of one class.

    Args:
      tensors: of a whole detector, by name.
      table: of the backbone with its neck `ssdlite`.
      epsilon: of the norms.

    Raises ConversionError, whose `faults` are all that is missing, of a wrong shape or of no
    predictor of one class.
    """
    found: dict[str, np.ndarray] = {}
    faults: list[str] = []

    def read(name: str, *shape: int) -> np.ndarray:
        tensor = tensors.get(name)
        if tensor is None or tuple(tensor.shape) != shape or tensor.dtype.kind != "f":
            faults.append(f"missing, or of another shape: {name} {list(shape)}")
            return np.ones(shape, np.float32)
        return np.asarray(tensor, np.float32)

    for number, width in enumerate((channels(table, name) for name in _MAPS), 1):
        for branch, theirs in _BRANCHES.items():
            scope = f"{_SCOPE}{number - 1}/{theirs}"
            kernel = read(f"{scope}_depthwise/depthwise_weights", 3, 3, width, 1)
            norm = [read(f"{scope}_depthwise/BatchNorm/{leaf}", width) for leaf in _NORM]
            scale, offset, mean, var = norm
            gain = scale / np.sqrt(var + np.float32(epsilon))
            bias = f"{scope}/biases"
            values = _COLUMNS if branch == "classes" else len(_SIDES)
            total = math.prod(tensors[bias].shape) if bias in tensors else values
            matrix = read(f"{scope}/weights", 1, 1, width, total)
            b = read(bias, total)
            if not total or total % values:
                faults.append(f"{bias} has {total} values, which are no {values} for each anchor")
                continue
            own = {
                "depthwise": kernel[..., 0] * gain,
                "offset": offset - mean * gain,
                "w": _ours(matrix.reshape(width, -1, values), branch),
                "b": _ours(b.reshape(-1, values), branch),
            }
            found |= {f"{number}/{branch}/{leaf}": array for leaf, array in own.items()}
    if faults:
        raise ConversionError(
            f"the predictors are not TensorFlow's of one class ({len(faults)} faults):", faults
        )
    return found


def _ours(theirs: np.ndarray, branch: str) -> np.ndarray:
    if branch == "boxes":
        return np.ascontiguousarray(theirs[..., _SIDES])
    ours = theirs.copy()
    ours[..., 0] = 0
    return ours
