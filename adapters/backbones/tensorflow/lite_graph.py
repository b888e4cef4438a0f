"""LiteRT's graphs (`.tflite`), norms folded: their tensors as frozen graphs name them.

Each convolution's kernel and bias are constants, float32 or float16, and are named after what they
were folded of: `X/Conv2D` and `X/BatchNorm/FusedBatchNormV3`. A layer that had a norm is given one
again, which adds the bias and changes nothing else: what scales and shifts norms has its place. The
schema is tensorflow/lite/schema/schema.fbs.
"""

import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from adapters.backbones.conventions import KERAS
from adapters.backbones.tensorflow import flatbuffer
from adapters.backbones.tensorflow.error import TensorFlowFileError
from adapters.backbones.tensorflow.flatbuffer import Table
from adapters.backbones.tensorflow.messages import RANK_LIMIT
from adapters.shown import shown

_CONVOLUTION, _DEPTHWISE, _DEQUANTIZE = 3, 4, 6  # of BuiltinOperator
_FLOATS = {0: "<f4", 1: "<f2"}  # of TensorType
_SCOPE = re.compile(r"(.+?)/(?:Conv2D|BatchNorm/FusedBatchNormV3|depthwise)")
_NORMED = "/BatchNorm/"

Item = TypeVar("Item")


def read_lite_graph(data: bytes) -> dict[str, np.ndarray]:
    """Gives the kernels, biases and norms of a graph's convolutions, float32, in the graph's order.

    Raises TensorFlowFileError when the file is damaged, or a convolution's constants are no floats
    or have no such names.
    """
    model = flatbuffer.root(data)
    codes = [max(code.number(0, "b"), code.number(3, "i")) for code in model.tables(1)]
    graphs, buffers = model.tables(2), model.tables(4)
    if not graphs:
        raise TensorFlowFileError("the file holds no graph.")
    tensors = graphs[0].tables(0)
    constants: dict[int, Table] = dict(enumerate(tensors))
    found: dict[str, np.ndarray] = {}
    for operator in graphs[0].tables(3):
        kind = _one(codes, operator.number(0, "I"))
        inputs = operator.numbers(1, "<i4").tolist()
        if kind == _DEQUANTIZE:
            made = _one(operator.numbers(2, "<i4").tolist(), 0)
            constants[made] = _one(tensors, _one(inputs, 0))
        elif kind in (_CONVOLUTION, _DEPTHWISE):
            kernel, bias = (constants.get(_one(inputs, place)) for place in (1, 2))
            found |= _layer(kind, _named(kernel, buffers), _named(bias, buffers))
    return found


def _layer(
    kind: int, kernel: tuple[str, np.ndarray], bias: tuple[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The tensors of one convolution, by the names that a frozen graph has for them."""
    scope = _SCOPE.fullmatch(kernel[0])
    if scope is None or kernel[1].ndim != 4:
        raise TensorFlowFileError(
            f"the kernel {shown(kernel[0])} is not named after a layer of TF-slim's: give the "
            "checkpoint or the frozen graph that the file was converted from."
        )
    layer = scope.group(1)
    depthwise = kind == _DEPTHWISE
    leaf = "depthwise_weights" if depthwise else "weights"
    # Theirs are [1, height, width, channels] and [outputs, height, width, inputs].
    made = {f"{layer}/{leaf}": kernel[1].transpose((1, 2, 3, 0))}
    if _NORMED not in bias[0]:
        return made | {f"{layer}/biases": bias[1]}
    ones = np.ones_like(bias[1])
    norm = {
        "gamma": ones,
        "beta": bias[1],
        "moving_mean": np.zeros_like(bias[1]),
        "moving_variance": ones - np.float32(KERAS.epsilon),
    }
    return made | {f"{layer}{_NORMED}{name}": values for name, values in norm.items()}


def _named(tensor: Table | None, buffers: Sequence[Table]) -> tuple[str, np.ndarray]:
    """The first of a constant's names, and its values."""
    if tensor is None:
        raise TensorFlowFileError("a convolution has no kernel or no bias.")
    name = tensor.text(3).partition(";")[0]
    kind, shape = tensor.number(1, "b"), tensor.numbers(0, "<i4").tolist()
    if kind not in _FLOATS or len(shape) > RANK_LIMIT or min(shape, default=0) < 0:
        raise TensorFlowFileError(f"the constant {shown(name)} is no float32 and no float16.")
    values = _one(buffers, tensor.number(2, "I")).numbers(0, "u1")
    kept = np.dtype(_FLOATS[kind])
    if values.size != np.prod(shape, dtype=np.int64) * kept.itemsize:
        raise TensorFlowFileError(
            f"the constant {shown(name)} has shape {shape}, but {values.size} bytes: damaged?"
        )
    return name, values.view(kept).reshape(shape).astype(np.float32)


def _one(items: Sequence[Item], number: int) -> Item:
    if not 0 <= number < len(items):
        raise TensorFlowFileError("the graph is damaged: it names what it does not have.")
    return items[number]
