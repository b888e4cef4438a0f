"""TensorFlow's frozen graphs (`.pb`): a variable is a constant `X` that an Identity `X/read` reads.

The file is one GraphDef message, without checksums: of damage, only what breaks the message is seen
here. A tensor that is lost is missed by the converter; a flipped bit among values is not seen.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from adapters.backbones.stored import Stored
from adapters.backbones.tensorflow.elements import element, widened
from adapters.backbones.tensorflow.error import TensorFlowFileError
from adapters.backbones.tensorflow.messages import parse, shape
from adapters.shown import shown

_READ = "/read"
# A constant's values lie in one of these fields, unless they are kept as plain bytes.
_FIELDS = {1: "float_val", 2: "double_val", 14: "half_val", 19: "half_val"}


def read_graph(data: bytes) -> dict[str, Stored]:
    """Gives the floats that once were variables, by name, in the graph's order.

    Raises TensorFlowFileError when the file is damaged, or a graph without such constants.
    """
    nodes = parse("Graph", data, "the frozen graph").node
    read = {
        node.name.removesuffix(_READ)
        for node in nodes
        if node.op == "Identity" and list(node.input) == [node.name.removesuffix(_READ)]
    }
    tensors: dict[str, Stored] = {}
    for name, tensor in _constants(nodes):
        if name in read and tensor.dtype in _FIELDS:
            tensors[name] = _stored(name, tensor)
    if not tensors:
        raise TensorFlowFileError(
            "the graph holds no constants that were variables: freeze it together with its "
            "checkpoint, or give the checkpoint itself."
        )
    return tensors


def _constants(nodes: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    seen = set()
    for node in nodes:
        values = [pair.value.tensor for pair in node.attr if pair.key == "value"]
        if node.op != "Const":
            continue
        if len(values) != 1 or node.name in seen:
            raise TensorFlowFileError(
                f"the constant {shown(node.name)} is there twice, or has no value."
            )
        seen.add(node.name)
        yield node.name, values[0]


def _stored(name: str, tensor: Any) -> Stored:
    kept, sizes = element(tensor.dtype, name), shape(tensor.shape, name)
    count, content = math.prod(sizes), len(tensor.content)
    listed = len(getattr(tensor, _FIELDS[tensor.dtype]))
    if content and content != count * kept.itemsize:
        raise TensorFlowFileError(
            f"{shown(name)} has shape {list(sizes)}, but {content} bytes: damaged?"
        )
    if listed > count and not content:
        raise TensorFlowFileError(f"{shown(name)} has {listed} values, but should have {count}.")
    dtype = widened(np.empty(0, kept), tensor.dtype).dtype
    return Stored(sizes, dtype, functools.partial(_values, tensor, kept, sizes))


def _values(tensor: Any, kept: np.dtype, sizes: tuple[int, ...]) -> np.ndarray:
    if tensor.content:
        values = np.frombuffer(tensor.content, kept)
    else:
        values = _listed(getattr(tensor, _FIELDS[tensor.dtype]), kept, math.prod(sizes))
    return widened(values, tensor.dtype).reshape(sizes)


def _listed(listed: Sequence[float], stored: np.dtype, count: int) -> np.ndarray:
    """The last value stands for all that follow; none at all are zeros."""
    values = np.zeros(count, stored)
    if listed and stored.itemsize == 2:  # kept as the integer of the same bits
        values[: len(listed)] = np.array(listed, np.int32).astype("<u2").view(stored)
    elif listed:
        values[: len(listed)] = np.array(listed, stored)
    if listed:
        values[len(listed) :] = values[len(listed) - 1]
    return values
