"""ONNX nodes for operations on each element."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from adapters.export.onnx import products
from adapters.export.onnx.builder import Builder
from adapters.export.onnx.values import Constant, Shape, Tensor, Value, channels, is_image

NODES = {
    "add": "Add",
    "div": "Div",
    "eq": "Equal",
    "exp": "Exp",
    "logistic": "Sigmoid",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "sqrt": "Sqrt",
    "sub": "Sub",
    "tanh": "Tanh",
}


class Scaled(NamedTuple):
    """A note: the tensor is an image whose channels were multiplied."""

    image: Tensor
    factor: Constant | str


def elementwise(build: Builder, operation: str, values: Sequence[Value], shape: Shape) -> Tensor:
    """The array of this shape that an operation, a key of `NODES`, makes of arrays."""
    known = _simpler(build, operation, *values) if len(values) == 2 else None
    if known is not None and known.shape == shape:
        return known
    tensors = [value for value in values if isinstance(value, Tensor)]
    widest = max((tensor.stored for tensor in tensors), key=len)
    every = (axis for value in values for axis in _axes(value))
    stored = (*widest, *dict.fromkeys(axis for axis in every if axis not in widest))
    names = [build.arranged(value, stored if len(value.shape) else ()) for value in values]
    mapped = any(tensor.mapped for tensor in tensors)
    result = Tensor(build.node(NODES[operation], *names), shape, stored, mapped)
    factor = channels(values[-1])
    if operation == "mul" and is_image(values[0]) and factor is not None:
        build.notes[result.name] = Scaled(values[0], factor)
    return result


def _simpler(build: Builder, operation: str, x: Value, y: Value) -> Tensor | None:
    if operation == "mul" and isinstance(x, Tensor) and isinstance(y, np.ndarray):
        return x if np.all(y == 1) else None
    return _biased(build, x, y) if operation == "add" and is_image(x) else None


def complementary_error(build: Builder, x: Tensor) -> Tensor:
    """1 - erf(x)."""
    error = x._replace(name=build.node("Erf", x.name))
    return elementwise(build, "sub", [np.asarray(1, np.float32), error], x.shape)


def _axes(value: Value) -> tuple[int, ...]:
    if isinstance(value, Tensor):
        return value.stored
    return tuple(axis for axis, length in enumerate(value.shape) if length > 1)


def _biased(build: Builder, image: Tensor, bias: Value) -> Tensor | None:
    """image + bias where that ends a norm, or the convolution that made the image takes it up."""
    vector = channels(bias)
    if vector is None or bias.shape[-1] != image.shape[-1]:
        return None
    note = build.notes.get(image.name)
    if isinstance(note, Scaled):
        return products.normalised(build, note.image, note.factor, vector)
    if isinstance(note, products.Convolved) and isinstance(vector, np.ndarray):
        return products.convolved(build, note, image.shape, vector)
    return None
