"""ONNX nodes for changes of shape, most of which need none, and for sums along axes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from adapters.export.onnx.builder import Builder
from adapters.export.onnx.values import (
    Shape,
    Tensor,
    UnsupportedOperationError,
    Value,
    is_image,
)


class Summed(NamedTuple):
    """A note: the tensor is a sum of another one over some of its array's axes."""

    of: Tensor
    axes: tuple[int, ...]


def broadcast(build: Builder, x: Tensor, shape: Shape, axes: Sequence[int]) -> Tensor:
    """x with its axes at `axes` of a larger shape, the same along all others."""
    grown = [a for a in x.stored if x.shape[a] == 1 and shape[axes[a]] > 1]
    x = _without(build, x, grown)
    return x._replace(shape=shape, stored=tuple(axes[axis] for axis in x.stored))


def transpose(x: Tensor, order: Sequence[int]) -> Tensor:
    """The array with its axes in another order: the tensor stays as it is."""
    shape = tuple(x.shape[axis] for axis in order)
    return x._replace(shape=shape, stored=tuple(list(order).index(axis) for axis in x.stored))


def reshape(build: Builder, x: Tensor, shape: Shape) -> Tensor:
    """x in another shape; where only axes of length 1 come or go, the tensor stays as it is."""
    kept = [axis for axis, length in enumerate(x.shape) if length > 1]
    wanted = [axis for axis, length in enumerate(shape) if length > 1]
    if [x.shape[axis] for axis in kept] == [shape[axis] for axis in wanted]:
        x = _without(build, x, [axis for axis in x.stored if axis not in kept])
        number = dict(zip(kept, wanted, strict=True))
        return x._replace(shape=shape, stored=tuple(number[axis] for axis in x.stored))
    first = (0,) if x.mapped else ()  # 0 keeps the number of images
    name = build.node("Reshape", build.whole(x), build.integers(*first, *shape))
    return Tensor(name, shape, tuple(range(len(shape))), x.mapped)


def reduced(build: Builder, operation: str, x: Tensor, axes: Sequence[int], shape: Shape) -> Tensor:
    """The sums or the largest elements of x along `axes`.

    Args:
      build: the graph.
      operation: `ReduceSum` or `ReduceMax`.
      x: the array.
      axes: that disappear.
      shape: of the result.
    """
    if any(axis not in x.stored and x.shape[axis] > 1 for axis in axes):
        everything = tuple(range(len(x.shape)))
        x = x._replace(name=build.whole(x), stored=everything)
    places = [x.position(axis) for axis in axes if axis in x.stored]
    if not places:
        return reshape(build, x, shape)
    if operation == "ReduceSum":
        name = build.node(operation, x.name, build.integers(*places), keepdims=0)
        build.notes[name] = Summed(x, tuple(axes))
    else:
        name = build.node(operation, x.name, axes=places, keepdims=0)
    left = [axis for axis in range(len(x.shape)) if axis not in axes]
    stored = tuple(left.index(axis) for axis in x.stored if axis in left)
    return Tensor(name, shape, stored, x.mapped)


def largest(build: Builder, x: Tensor, axis: int, shape: Shape) -> Tensor:
    """Where along `axis` x is largest, int32; of equal ones the first."""
    everything = tuple(range(len(x.shape)))
    name = build.node("ArgMax", build.whole(x), axis=axis + x.mapped, keepdims=0)
    return Tensor(build.cast(name, np.int32), shape, everything[:-1], x.mapped)


def mean(build: Builder, total: Value, count: Value) -> Tensor | None:
    """total / count where that is the mean of an image by channels."""
    if not isinstance(total, Tensor):
        return None
    note = build.notes.get(total.name)
    if not isinstance(note, Summed) or not is_image(note.of) or set(note.axes) != {0, 1}:
        return None
    if isinstance(count, Tensor) or np.any(count != math.prod(note.of.shape[:2])):
        return None
    pooled = build.node("GlobalAveragePool", note.of.name)
    return total._replace(name=build.node("Flatten", pooled))


def padded(build: Builder, x: Tensor, value: Value, config: Any, shape: Shape) -> Tensor:
    """x with `value` around it; `config` has (before, after, between) by axis.

    Raises UnsupportedOperationError for one that also pads between elements.
    """
    if any(between for _, _, between in config) or isinstance(value, Tensor):
        raise UnsupportedOperationError("padding between elements has no ONNX operation here.")
    changed = [axis for axis, (before, after, _) in enumerate(config) if before or after]
    x = _with(build, x, changed)
    sides = [[config[axis][side] for axis in x.stored] for side in (0, 1)]
    images = [0] * x.mapped
    pads = build.integers(*images, *sides[0], *images, *sides[1])
    name = build.node("Pad", x.name, pads, build.constant(value))
    return x._replace(name=name, shape=shape)


def sliced(build: Builder, x: Tensor, parameters: Mapping[str, Any], shape: Shape) -> Tensor:
    """Part of x: from `start_indices` to `limit_indices` in steps of `strides`."""
    starts, limits = parameters["start_indices"], parameters["limit_indices"]
    strides = parameters["strides"] or (1,) * len(starts)
    changed = [a for a, length in enumerate(x.shape) if shape[a] != length and a in x.stored]
    places = (
        [starts[axis] for axis in changed],
        [limits[axis] for axis in changed],
        [x.position(axis) for axis in changed],
        [strides[axis] for axis in changed],
    )
    name = build.node("Slice", x.name, *(build.integers(*each) for each in places))
    return x._replace(name=name, shape=shape)


def joined(build: Builder, values: Sequence[Value], axis: int, shape: Shape) -> Tensor:
    """The arrays one after another along an axis; `shape` is the result's."""
    mapped = any(isinstance(value, Tensor) and value.mapped for value in values)
    part = build.of_each_image if mapped else build.whole
    name = build.node("Concat", *map(part, values), axis=axis + mapped)
    return Tensor(name, shape, tuple(range(len(shape))), mapped)


def _with(build: Builder, x: Tensor, axes: Sequence[int]) -> Tensor:
    if set(axes) <= set(x.stored):
        return x
    return x._replace(name=build.whole(x), stored=tuple(range(len(x.shape))))


def _without(build: Builder, x: Tensor, axes: Sequence[int]) -> Tensor:
    """x with axes of length 1 no longer stored."""
    stored = tuple(axis for axis in x.stored if axis not in axes)
    return x if stored == x.stored else x._replace(name=build.arranged(x, stored), stored=stored)
