"""A mask transformer of the k-means kind: learned centres gather pixels, and become masks.

Yu et al., "k-means Mask Transformer" (kMaX-DeepLab), arXiv 2207.04044, section 3.2: a pixel belongs
to the centre whose mask is the highest there, a hard choice that no gradient passes; each centre
then moves by what its pixels are, and centres attend to one another. A small one of our own: all
blocks read one map of pixels, and share one predictor; a centre moves by the mean of its pixels,
where the published one normalises their sum over a batch; norms of layers have no weights; and
pixels know their place (x, y and x^2 + y^2), so that two things alike can be told apart. Functions
of NumPy's arrays and JAX's.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.resizing import resized

Array = npt.NDArray[Any]
Arrays = Mapping[str, Any]
Shape = tuple[int, ...]

LOGITS, MASKS, SEMANTIC = "logits", "masks", "semantic"
LOW, HIGH = "low", "high"
_PLACES = 3
_EPSILON = 1e-5


class Sizes(NamedTuple):
    """Of a decoder.

    Attributes:
      queries: masks that it predicts of an image.
      dimension: numbers that a pixel or a centre has.
      blocks: how often centres gather pixels.
    """

    queries: int
    dimension: int
    blocks: int


def shapes(sizes: Sizes, channels: Mapping[str, int], outputs: int) -> dict[str, Shape]:
    """Of all leaves; `channels` are those of the maps that are read: `high`, and perhaps `low`."""
    queries, wide, blocks = sizes
    found: dict[str, Shape] = {f"pixels/{name}": (own, wide) for name, own in channels.items()}
    found |= {"pixels/b": (wide,), "pixels/w": (wide, wide), "pixels/places": (_PLACES, wide)}
    found["centres"] = (queries, wide)
    for block in range(1, blocks + 1):
        found |= {
            f"block_{block}/{name}": (wide, wide)
            for name in ("gathered", "query", "key", "value", "attended")
        }
        found[f"block_{block}/inner"] = (wide, 2 * wide)
        found[f"block_{block}/outer"] = (2 * wide, wide)
    found |= {"mask/w": (wide, wide), "mask/b": (wide,)}
    return found | {"class/w": (wide, 1 + outputs), "class/b": (1 + outputs,)}


def training_shapes(sizes: Sizes, outputs: int) -> dict[str, Shape]:
    """Of the leaves of the auxiliary prediction, of the class of each pixel."""
    return {"semantic/w": (sizes.dimension, outputs), "semantic/b": (outputs,)}


def channels(shapes: Mapping[str, Shape], names: Mapping[str, str]) -> dict[str, int]:
    """Of each map, what a decoder with leaves of these shapes reads; {`high`: its name}."""
    return {name: shapes[f"pixels/{leaf}"][0] for leaf, name in names.items()}


def initial(shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """Random, alike everywhere; blocks change nothing at first, as in the published one."""
    generator = np.random.default_rng(0)
    found = {}
    for leaf, shape in shapes.items():
        values = generator.normal(size=shape).astype(np.float32)
        kind = leaf.rpartition("/")[2]
        if kind in ("b", "gathered", "attended", "outer"):
            values = np.zeros_like(values)
        elif leaf != "centres":
            values /= np.sqrt(np.float32(shape[0]))
        found[leaf] = values
    return found


def predicted(sizes: Sizes, weights: Arrays, maps: Arrays) -> dict[str, Any]:
    """What is shipped: `logits` [..., queries, 1 + outputs] and `masks` [..., h, w, queries].

    Args:
      sizes: of the decoder.
      weights: see `shapes`; the first class is that of no segment.
      maps: `high` [..., h, w, C], and perhaps `low`, whose size the masks have.
    """
    return _steps(sizes, weights, maps)[1][-1]


def predicted_in_training(
    sizes: Sizes, weights: Arrays, maps: Arrays, semantic: bool
) -> dict[str, Any]:
    """The same before and after each block, `logits` [..., 1 + blocks, queries, 1 + outputs].

    `masks` are [..., 1 + blocks, h, w, queries]; with `semantic`, there are also the scores of the
    classes of pixels, [..., h, w, outputs].
    """
    pixels, steps = _steps(sizes, weights, maps)
    space = pixels.__array_namespace__()
    found = {
        LOGITS: space.stack([step[LOGITS] for step in steps], axis=-3),
        MASKS: space.stack([step[MASKS] for step in steps], axis=-4),
    }
    if semantic:
        found[SEMANTIC] = _product(pixels, weights["semantic/w"], weights["semantic/b"])
    return found


def _steps(sizes: Sizes, weights: Arrays, maps: Arrays) -> tuple[Any, list[dict[str, Any]]]:
    """The pixels [..., h, w, D], and what is predicted before and after each block."""
    pixels = _pixels(weights, maps)
    space, size = pixels.__array_namespace__(), pixels.shape[-3:-1]
    flat = pixels.reshape(*pixels.shape[:-3], -1, sizes.dimension)
    before = flat.shape[:-2]
    centres = weights["centres"]
    centres = space.broadcast_to(centres, (*before, *centres.shape))
    told, masks = _told(weights, flat, centres)
    steps = [(told, masks)]
    for block in range(1, sizes.blocks + 1):
        own = {
            leaf.rpartition("/")[2]: values
            for leaf, values in weights.items()
            if leaf.startswith(f"block_{block}/")
        }
        centres = centres + _product(_means(flat, masks), own["gathered"])
        centres = centres + _product(_attended(centres, own), own["attended"])
        inner = space.clip(_product(_normed(centres), own["inner"]), 0.0, None)
        centres = centres + _product(inner, own["outer"])
        told, masks = _told(weights, flat, centres)
        steps.append((told, masks))
    queries = sizes.queries
    return pixels, [
        {LOGITS: told, MASKS: masks.reshape(*before, *size, queries)} for told, masks in steps
    ]


def _pixels(weights: Arrays, maps: Arrays) -> Any:
    """[..., h, w, D], as fine as `low`, or `high` where that is the only one."""
    first, *others = (_product(maps[n], weights[f"pixels/{n}"]) for n in (LOW, HIGH) if n in maps)
    for coarse in others:
        first = first + resized(coarse, *first.shape[-3:-1])
    space, (height, width) = first.__array_namespace__(), first.shape[-3:-1]
    seen = space.clip(_normed(first) + _last(weights["pixels/b"], first.ndim), 0.0, None)
    placed = space.asarray(_places(height, width), dtype=first.dtype)
    placed = _product(placed, weights["pixels/places"])
    placed = placed.reshape((1,) * (first.ndim - placed.ndim) + placed.shape)
    return _product(seen, weights["pixels/w"]) + placed


def _places(height: int, width: int) -> Array:
    """x, y and x^2 + y^2 of each pixel, from -1 to 1: [h, w, 3].

    With all three, a product with a vector can be the distance to any place, as k-means needs it.
    """
    y, x = ((2 * np.arange(size) + 1) / size - 1 for size in (height, width))
    rows, columns = np.meshgrid(y, x, indexing="ij")
    return np.stack([columns, rows, columns**2 + rows**2], axis=-1).astype(np.float32)


def _told(weights: Arrays, pixels: Any, centres: Any) -> tuple[Any, Any]:
    """Classes of centres [..., N, 1 + outputs], and masks [..., P, N] of pixels [..., P, D]."""
    own = _normed(centres)
    logits = _product(own, weights["class/w"], weights["class/b"])
    embedded = _product(own, weights["mask/w"], weights["mask/b"])
    return logits, pixels @ _turned(embedded) / pixels.shape[-1] ** 0.5


def _means(pixels: Any, masks: Any) -> Any:
    """Of each centre the mean of its pixels, [..., N, D]; 0 where it has none."""
    space, queries = pixels.__array_namespace__(), masks.shape[-1]
    best = space.argmax(masks, axis=-1)[..., None]
    chosen = _turned((best == _last(space.arange(queries), best.ndim)).astype(pixels.dtype))
    counts = space.clip(chosen.sum(axis=-1, keepdims=True), 1.0, None)
    return (chosen @ pixels) / counts


def _attended(centres: Any, own: Arrays) -> Any:
    """What each centre sees of all, [..., N, D]: attention of one head."""
    seen = _normed(centres)
    query, key, value = (_product(seen, own[name]) for name in ("query", "key", "value"))
    scores = query @ _turned(key) / query.shape[-1] ** 0.5
    space = scores.__array_namespace__()
    shares = space.exp(scores - scores.max(axis=-1, keepdims=True))
    return (shares / shares.sum(axis=-1, keepdims=True)) @ value


def _normed(values: Any) -> Any:
    """Of mean 0 and variance 1 along the last axis."""
    space = values.__array_namespace__()
    apart = values - values.mean(axis=-1, keepdims=True)
    return apart / space.sqrt((apart * apart).mean(axis=-1, keepdims=True) + _EPSILON)


def _product(values: Any, weights: Any, offset: Any = None) -> Any:
    """[..., C] by [C, n], as one matrix product, which every graph has."""
    *before, inputs = values.shape
    found = (values.reshape(-1, inputs) @ weights).reshape(*before, weights.shape[-1])
    return found if offset is None else found + _last(offset, found.ndim)


def _turned(values: Any) -> Any:
    return values.swapaxes(-1, -2)


def _last(values: Any, axes: int) -> Any:
    """Values [C] for the last of so many axes, the others 1."""
    return values.reshape((1,) * (axes - 1) + (-1,))
