"""Scales of norms, moved from the maps of a LiteRT graph into the kernels of its 1x1 convolutions.

In a graph that takes patches as inputs, a 1x1 convolution and its norm are three operations that
each read and write a whole map: FULLY_CONNECTED, MUL by the scale, ADD of the offset. Since

    (x @ w) * scale + offset  =  x @ (w * scale) + offset,

one is enough, with a kernel that is computed at each call: cheap, where a map has more pixels than
a kernel has inputs. The converter makes no layer with a computed bias, so its graph is rewritten.

XNNPACK leaves a layer with a computed kernel to slower code unless it is told not to, which
`adapters.runtime.engine` does. Needs LiteRT.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from adapters.export import aligned

# Pixels a map must have for each input of a kernel: with fewer, scaling the kernel and laying it
# out anew for XNNPACK takes longer than the two passes over the map.
PIXELS_AN_INPUT = 1


def scale_kernels(flatbuffer: bytes) -> bytes:
    """The same `.tflite`, with scales that are inputs moved into kernels where that pays."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(flatbuffer))
    for graph in model.subgraphs:
        layers = {id(layer.product): layer for layer in _layers(model, graph)}
        merged = {id(each) for layer in layers.values() for each in (layer.multiply, layer.add)}
        operators = []
        for operator in graph.operators:
            if id(operator) in layers:
                operators += _scaled(model, graph, layers[id(operator)])
            elif id(operator) not in merged:
                operators.append(operator)
        graph.operators = operators
    return aligned.written(model)


class _Layer(NamedTuple):
    """A 1x1 convolution and its norm: three operations in a row, and two inputs of the graph."""

    product: Any
    multiply: Any
    add: Any
    scale: int
    offset: int


def _layers(model: Any, graph: Any) -> Iterator[_Layer]:
    readers: dict[int, list[Any]] = {}
    for operator in graph.operators:
        for tensor in operator.inputs:
            readers.setdefault(tensor, []).append(operator)

    def next_with_vector(operator: Any, code: int) -> tuple[Any, int] | None:
        """The only reader of a result as it is, if that is `code` of it and an input vector."""
        (result,) = operator.outputs
        found = readers.get(result, [])
        if len(found) != 1 or _code(model, found[0]) != code or result in graph.outputs:
            return None
        if operator.builtinOptions.fusedActivationFunction != schema.ActivationFunctionType.NONE:
            return None
        others = [tensor for tensor in found[0].inputs if tensor != result]
        if len(others) != 1 or others[0] not in graph.inputs:
            return None
        return (found[0], others[0]) if len(graph.tensors[others[0]].shape) == 1 else None

    for product in graph.operators:
        is_product = _code(model, product) == schema.BuiltinOperator.FULLY_CONNECTED
        if is_product and _has_no_bias(product) and _pays(graph, product):
            multiply = next_with_vector(product, schema.BuiltinOperator.MUL)
            add = multiply and next_with_vector(multiply[0], schema.BuiltinOperator.ADD)
            if multiply and add:
                yield _Layer(product, multiply[0], add[0], multiply[1], add[1])


def _has_no_bias(product: Any) -> bool:
    return all(tensor < 0 for tensor in product.inputs[2:])


def _pays(graph: Any, product: Any) -> bool:
    x, w = (graph.tensors[tensor].shape for tensor in product.inputs[:2])
    return math.prod(x[:-1]) > PIXELS_AN_INPUT * w[1]


def _scaled(model: Any, graph: Any, layer: _Layer) -> list[Any]:
    """What computes a layer: the scale as a column, the kernel times that, one product."""
    x, w = layer.product.inputs[:2]
    shape = graph.tensors[w].shape
    name = graph.tensors[layer.multiply.outputs[0]].name
    column = _computed(graph, name + b"/column", [shape[0], 1])
    kernel = _computed(graph, name + b"/kernel", shape)

    reshape = schema.OperatorT()
    reshape.opcodeIndex = _opcode(model, schema.BuiltinOperator.RESHAPE)
    reshape.inputs, reshape.outputs = [layer.scale], [column]
    reshape.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    reshape.builtinOptions = schema.ReshapeOptionsT()
    reshape.builtinOptions.newShape = [shape[0], 1]

    layer.multiply.inputs, layer.multiply.outputs = [w, column], [kernel]
    layer.product.inputs, layer.product.outputs = [x, kernel, layer.offset], layer.add.outputs
    activation = layer.add.builtinOptions.fusedActivationFunction
    layer.product.builtinOptions.fusedActivationFunction = activation
    return [reshape, layer.multiply, layer.product]


def _code(model: Any, operator: Any) -> int:
    return int(model.operatorCodes[operator.opcodeIndex].builtinCode)


def _opcode(model: Any, code: int) -> int:
    """The index of an operation among those the model lists; it is added where it is missing."""
    codes = [int(each.builtinCode) for each in model.operatorCodes]
    if code not in codes:
        added = schema.OperatorCodeT()
        added.builtinCode = added.deprecatedBuiltinCode = code
        model.operatorCodes.append(added)
        codes.append(code)
    return codes.index(code)


def _computed(graph: Any, name: bytes, shape: list[int]) -> int:
    """A new float32 tensor that no constant fills; returns its index."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name, shape, schema.TensorType.FLOAT32
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
