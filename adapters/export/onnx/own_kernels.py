"""ONNX nodes for depthwise convolutions of which every image has its own kernel.

A `Conv` has one kernel for all images. So these are sums over a kernel's taps of shifted images
times a weight a channel, as `adapters.layers.depthwise_convolution` has them on CPU.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from adapters.export.onnx import products, shaping
from adapters.export.onnx.builder import Builder
from adapters.export.onnx.elementwise import elementwise
from adapters.export.onnx.values import Shape, Tensor, Value


def depthwise(
    build: Builder, x: Value, w: Tensor, shape: Shape, parameters: Mapping[str, Any]
) -> Tensor:
    """A convolution of x [1, H, W, C] with the image's w [k, k, 1, C]; `shape` is the result's.

    Raises UnsupportedOperationError for any other.
    """
    rows, columns, inputs, channels = w.shape
    alone = inputs == 1 and parameters["feature_group_count"] == channels == x.shape[-1]
    if not isinstance(x, Tensor) or not products.is_of_layers(x, parameters) or not alone:
        raise products.unsupported(x, w, parameters)
    around = [(0, 0, 0), *((before, after, 0) for before, after in parameters["padding"]), (0,) * 3]
    grown = tuple(
        length + before + after for length, (before, after, _) in zip(x.shape, around, strict=True)
    )
    padded = shaping.padded(build, x, np.asarray(0, np.float32), around, grown)
    strides, dilations = (1, *parameters["window_strides"], 1), parameters["rhs_dilation"]
    terms = []
    for row, column in itertools.product(range(rows), range(columns)):
        start = (0, row * dilations[0], column * dilations[1], 0)
        seen = shaping.sliced(build, padded, _part(start, shape, strides), shape)
        tap = (1, 1, 1, channels)
        weight = shaping.sliced(build, w, _part((row, column, 0, 0), tap, (1,) * 4), tap)
        weight = shaping.reshape(build, weight, tap)  # without the axes of length 1
        terms.append(elementwise(build, "mul", [seen, weight], shape))
    total = terms[0]
    for term in terms[1:]:
        total = elementwise(build, "add", [total, term], shape)
    return total


def _part(start: Shape, shape: Shape, strides: Shape) -> dict[str, Shape]:
    """Of a slice of this shape, what `jax.lax.slice` calls its parameters."""
    limits = tuple(
        first + (length - 1) * stride + 1
        for first, length, stride in zip(start, shape, strides, strict=True)
    )
    return {"start_indices": start, "limit_indices": limits, "strides": strides}
