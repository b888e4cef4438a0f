"""TensorFlow's frozen graphs (`.pb`): a variable is a constant `X` that an Identity `X/read` reads.

The file is one GraphDef message, without checksums: of damage, only what breaks the message is seen
here. A tensor that is lost is missed by the converter; a flipped bit among values is not seen.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from adapters import archives
from adapters.backbones.tensorflow.elements import element, widened
from adapters.backbones.tensorflow.error import TensorFlowFileError
from adapters.backbones.tensorflow.messages import parse, shape

_READ = "/read"
# A constant's values lie in one of these fields, unless they are kept as plain bytes.
_FIELDS = {1: "float_val", 2: "double_val", 14: "half_val", 19: "half_val"}


def read_graph(data: bytes) -> dict[str, np.ndarray]:
    """Gives the floats that once were variables, by name, in the graph's order.

    Raises TensorFlowFileError when the file is damaged, or a graph without such constants.
    """
    nodes = parse("Graph", data, "the frozen graph").node
    read = {
        node.name.removesuffix(_READ)
        for node in nodes
        if node.op == "Identity" and list(node.input) == [node.name.removesuffix(_READ)]
    }
    tensors: dict[str, np.ndarray] = {}
    for name, tensor in _constants(nodes):
        if name in read and tensor.dtype in _FIELDS:
            tensors[name] = _values(name, tensor)
    if not tensors:
        raise TensorFlowFileError(
            "the graph holds no constants that were variables: freeze it together with its "
            "checkpoint, or give the checkpoint itself."
        )
    return tensors


def _constants(nodes: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    left, seen = archives.MEMBER_LIMIT, set()
    for node in nodes:
        values = [pair.value.tensor for pair in node.attr if pair.key == "value"]
        if node.op != "Const":
            continue
        if len(values) != 1 or node.name in seen:
            raise TensorFlowFileError(f"the constant {node.name} is there twice, or has no value.")
        seen.add(node.name)
        # A shape may ask for more than the file holds: one value stands for many.
        left -= 8 * math.prod(shape(values[0].shape, node.name))
        if left < 0:
            raise TensorFlowFileError(f"the graph takes more memory than allowed, at {node.name}.")
        yield node.name, values[0]


def _values(name: str, tensor: Any) -> np.ndarray:
    stored, sizes = element(tensor.dtype, name), shape(tensor.shape, name)
    count = math.prod(sizes)
    if tensor.content:
        if len(tensor.content) != count * stored.itemsize:
            raise TensorFlowFileError(
                f"{name} has shape {list(sizes)}, but {len(tensor.content)} bytes: damaged?"
            )
        values = np.frombuffer(tensor.content, stored)
    else:
        values = _listed(name, getattr(tensor, _FIELDS[tensor.dtype]), stored, count)
    return widened(values, tensor.dtype).reshape(sizes)


def _listed(name: str, listed: Sequence[float], stored: np.dtype, count: int) -> np.ndarray:
    """The last value stands for all that follow; none at all are zeros."""
    if len(listed) > count:
        raise TensorFlowFileError(f"{name} has {len(listed)} values, but should have {count}.")
    values = np.zeros(count, stored)
    if listed and stored.itemsize == 2:  # kept as the integer of the same bits
        values[: len(listed)] = np.array(listed, np.int32).astype("<u2").view(stored)
    elif listed:
        values[: len(listed)] = np.array(listed, stored)
    if listed:
        values[len(listed) :] = values[len(listed) - 1]
    return values
