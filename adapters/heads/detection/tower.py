"""FPNLite's predictor: one tower of separable convolutions for all levels, a norm for each.

As TensorFlow's object detection shares it (`WeightSharedConvolutionalBoxPredictor`): kernels are
one for all levels, scales and offsets a level's own. In a separable convolution nothing lies
between the depthwise 3x3 and the 1x1. Functions of NumPy's arrays and JAX's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.heads.detection.predictors import BOXES, CLASSES, depthwise, last, pointwise

Array = npt.NDArray[Any]
Arrays = Mapping[str, Any]
Shape = tuple[int, ...]

LAYERS, SIDE = 4, 3  # as published
PRIOR = 0.01  # how probable an object is at each anchor before anything is learned


def shapes(
    width: int, levels: int, anchors: int, outputs: int, layers: int = LAYERS
) -> dict[str, Shape]:
    """Of all leaves, for maps of `width` channels, `anchors` a cell and `outputs` classes."""
    found: dict[str, Shape] = {}
    for layer in range(1, layers + 1):
        found[f"tower/{layer}/depthwise"] = (SIDE, SIDE, width)
        found[f"tower/{layer}/w"] = (width, width)
        for level in range(1, levels + 1):
            found[f"level_{level}/{layer}/scale"] = (width,)
            found[f"level_{level}/{layer}/offset"] = (width,)
    for branch, values in ((CLASSES, outputs), (BOXES, 4)):
        found[f"{branch}/depthwise"] = (SIDE, SIDE, width)
        found[f"{branch}/w"] = (width, anchors, values)
        found[f"{branch}/b"] = (anchors, values)
    return found


def width(shapes: Mapping[str, Shape]) -> int:
    """Channels of the maps that a tower with leaves of these shapes reads."""
    return shapes[f"{CLASSES}/w"][0]


def initial(shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """A tower that changes nothing, scores near `PRIOR`, and no offsets."""
    found = {leaf: np.zeros(shape, np.float32) for leaf, shape in shapes.items()}
    for leaf, values in found.items():
        if leaf.endswith("/depthwise"):
            values[SIDE // 2, SIDE // 2] = 1
        elif leaf.startswith("tower/"):
            np.fill_diagonal(values, 1)
        elif leaf.endswith("/scale"):
            values += 1
    found[f"{CLASSES}/b"] += np.log(PRIOR / (1 - PRIOR))
    return found


def predicted(weights: Arrays, maps: Sequence[Any]) -> dict[str, Any]:
    """Classes [..., A, outputs] and boxes [..., A, 4] of maps [..., h, w, C], the finest first."""
    found: dict[str, list[Any]] = {CLASSES: [], BOXES: []}
    layers = sum(leaf.startswith("tower/") and leaf.endswith("/w") for leaf in weights)
    for level, own in enumerate(maps, 1):
        space, x = own.__array_namespace__(), own
        for layer in range(1, layers + 1):
            x = depthwise(x, weights[f"tower/{layer}/depthwise"])
            x = pointwise(x, weights[f"tower/{layer}/w"])
            scale, offset = (
                last(weights[f"level_{level}/{layer}/{leaf}"], x.ndim)
                for leaf in ("scale", "offset")
            )
            x = space.clip(x * scale + offset, 0.0, 6.0)
        for branch, values in found.items():
            bias = weights[f"{branch}/b"]
            y = depthwise(x, weights[f"{branch}/depthwise"])
            wide = weights[f"{branch}/w"].reshape(x.shape[-1], -1)
            y = pointwise(y, wide) + last(bias.reshape(-1), x.ndim)
            *before, high, across, _ = x.shape
            values.append(y.reshape(*before, high * across * bias.shape[0], bias.shape[1]))
    space = maps[0].__array_namespace__()
    return {branch: space.concatenate(values, axis=-2) for branch, values in found.items()}
