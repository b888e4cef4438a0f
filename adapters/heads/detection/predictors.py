"""SSDLite's predictors: of each map, a depthwise 3x3 convolution and a 1x1, for classes and boxes.

Sandler et al., "MobileNetV2", arXiv 1801.04381, section 6.2. Of the norm between them its offset is
left: its scale is in the depthwise kernel. Narrow ones read a few sums of a map's channels, which
classes and boxes share; that is ours. Functions of NumPy's arrays and JAX's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = Mapping[str, Any]
Shape = tuple[int, ...]

CLASSES, BOXES, SUMS = "classes", "boxes", "sums"
SIDE = 3


def shapes(
    channels: Sequence[int], anchors: Sequence[int], outputs: int, width: int | None = None
) -> dict[str, Shape]:
    """Of all leaves.

    Args:
      channels: of each map.
      anchors: of a cell of each map.
      outputs: scores of each anchor.
      width: sums of channels that are read; None: the channels themselves are.
    """
    found: dict[str, Shape] = {}
    for number, (own, count) in enumerate(zip(channels, anchors, strict=True), 1):
        if width is not None:
            found[f"{number}/{SUMS}"] = (own, width)
        inner = own if width is None else width
        for branch, values in ((CLASSES, outputs), (BOXES, 4)):
            found |= {
                f"{number}/{branch}/depthwise": (SIDE, SIDE, inner),
                f"{number}/{branch}/offset": (inner,),
                f"{number}/{branch}/w": (inner, count, values),
                f"{number}/{branch}/b": (count, values),
            }
    return found


def channels(shapes: Mapping[str, Shape], maps: int) -> list[int]:
    """Of each map, what predictors with leaves of these shapes read."""
    return [
        shapes.get(f"{number}/{SUMS}", shapes[f"{number}/{CLASSES}/w"])[0]
        for number in range(1, maps + 1)
    ]


def initial(shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """Depthwise kernels that change nothing, and zeros: what is learned first is the 1x1's.

    Sums are random ones, always the same, about as large as what they are of.
    """
    found = {leaf: np.zeros(shape, np.float32) for leaf, shape in shapes.items()}
    for leaf, values in found.items():
        if leaf.endswith("/depthwise"):
            values[SIDE // 2, SIDE // 2] = 1
        elif leaf.endswith(f"/{SUMS}"):
            drawn = np.random.default_rng(values.shape).standard_normal(values.shape, np.float32)
            values[:] = drawn / np.sqrt(np.float32(len(values)))
    return found


def begun(
    weights: Arrays, finished: Arrays, places: Sequence[tuple[int, int]], before: int
) -> dict[str, Array]:
    """Finished predictors for new ones: all of them but the scores of classes that they lack.

    Args:
      weights: of the new ones.
      finished: of those that compute the same for other classes.
      places: [(class, finished class)].
      before: scores of each anchor that stand before those of classes.
    """
    new, old = (np.asarray(own, int) for own in zip(*places, strict=True))
    first = np.arange(before)
    new, old = (np.concatenate([first, before + own]) for own in (new, old))
    found = {leaf: np.array(values) for leaf, values in finished.items()}
    for leaf, values in weights.items():
        if leaf.endswith((f"{CLASSES}/w", f"{CLASSES}/b")):
            found[leaf] = np.array(values)
            found[leaf][..., new] = finished[leaf][..., old]
    return found


def predicted(weights: Arrays, maps: Sequence[Any], branch: str) -> Any:
    """Values [..., A, n] of the anchors of maps [..., h, w, C], as `anchors.placed` has them."""
    found = []
    for number, given in enumerate(maps, 1):
        sums = weights.get(f"{number}/{SUMS}")
        own = given if sums is None else pointwise(given, sums)
        leaf = {
            name: weights[f"{number}/{branch}/{name}"] for name in ("depthwise", "offset", "w", "b")
        }
        inner = depthwise(own, leaf["depthwise"]) + last(leaf["offset"], own.ndim)
        *before, height, width, read = inner.shape
        space = own.__array_namespace__()
        wide = leaf["w"].reshape(read, -1)
        values = space.clip(inner, 0.0, 6.0).reshape(-1, read) @ wide + leaf["b"].reshape(1, -1)
        cells = height * width * leaf["b"].shape[0]
        found.append(values.reshape(*before, cells, leaf["b"].shape[1]))
    return found[0].__array_namespace__().concatenate(found, axis=-2)


def pointwise(maps: Any, weights: Any) -> Any:
    """A 1x1 convolution of maps [..., h, w, C] by [C, n], as one matrix product."""
    return (maps.reshape(-1, maps.shape[-1]) @ weights).reshape(*maps.shape[:-1], -1)


def depthwise(maps: Any, kernel: Any) -> Any:
    """As shifted products: a 3x3 convolution [3, 3, C] of each channel alone, padded by zeros."""
    space = maps.__array_namespace__()
    height, width = maps.shape[-3:-1]
    around = [(0, 0)] * (maps.ndim - 3) + [(1, 1), (1, 1), (0, 0)]
    padded = space.pad(maps, around)
    return sum(
        padded[..., y : y + height, x : x + width, :] * last(kernel[y, x], maps.ndim)
        for y in range(SIDE)
        for x in range(SIDE)
    )


def last(values: Any, axes: int) -> Any:
    """Values [C] for the last of so many axes, the others 1."""
    return values.reshape((1,) * (axes - 1) + (-1,))
