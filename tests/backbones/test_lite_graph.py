"""LiteRT's graphs, written here by LiteRT's own schema, as the tensors of a frozen graph."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from adapters.backbones.tensorflow.error import TensorFlowFileError
from adapters.backbones.tensorflow.lite_graph import read_lite_graph

DRAWN = np.random.default_rng(2)
STEM = DRAWN.normal(size=(4, 3, 3, 2)).astype(np.float16)
DEPTHWISE = DRAWN.normal(size=(1, 3, 3, 4)).astype(np.float32)
PREDICTOR = DRAWN.normal(size=(6, 1, 1, 4)).astype(np.float16)
STEM_BIAS, DEPTHWISE_BIAS, PREDICTOR_BIAS = (
    DRAWN.normal(size=count).astype(np.float32) for count in (4, 4, 6)
)


class Written:
    """A graph, operator by operator."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, name, shape, kind, data=b""):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), kind
        if data:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, name, values):
        """The number of a constant in float32; one in float16 is widened first."""
        wide = values.dtype == np.float32
        kind = schema.TensorType.FLOAT32 if wide else schema.TensorType.FLOAT16
        number = self.tensor(name, values.shape, kind, values.tobytes())
        if wide:
            return number
        widened = self.tensor(f"{name}_dequantize", values.shape, schema.TensorType.FLOAT32)
        self.operator(schema.BuiltinOperator.DEQUANTIZE, [number], [widened])
        return widened

    def operator(self, kind, inputs, outputs):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, outputs
        self.graph.operators.append(operator)

    def convolution(self, kind, kernel, bias):
        image = self.tensor("image", (1, 8, 8, 2), schema.TensorType.FLOAT32)
        made = self.tensor("made", (1, 8, 8, 4), schema.TensorType.FLOAT32)
        inputs = [image, self.constant(*kernel), self.constant(*bias)]
        self.operator(kind, inputs, [made])

    def data(self):
        builder = schema.flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


@pytest.fixture(scope="module")
def graph():
    written = Written()
    folded = "BatchNorm/FusedBatchNormV3"
    whole, separable = schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D
    written.convolution(
        whole, ("net/Conv/Conv2D", STEM), (f"net/Conv/{folded};net/other/Conv2D", STEM_BIAS)
    )
    # A depthwise kernel is named after the norm in it.
    written.convolution(
        separable,
        (f"net/block/depthwise/{folded};net/block/depthwise/depthwise", DEPTHWISE),
        (f"net/block/depthwise/{folded}", DEPTHWISE_BIAS),
    )
    written.convolution(
        whole,
        ("BoxPredictor_0/ClassPredictor/Conv2D", PREDICTOR),
        ("BoxPredictor_0/ClassPredictor/BiasAdd;x/Conv2D", PREDICTOR_BIAS),
    )
    return written


def test_layers_are_those_of_a_frozen_graph_whose_norms_only_add(graph):
    found = read_lite_graph(graph.data())
    norms = {"net/Conv": STEM_BIAS, "net/block/depthwise": DEPTHWISE_BIAS}
    kernels = {
        "net/Conv/weights": STEM.astype(np.float32).transpose(1, 2, 3, 0),
        "net/block/depthwise/depthwise_weights": DEPTHWISE.transpose(1, 2, 3, 0),
        "BoxPredictor_0/ClassPredictor/weights": PREDICTOR.astype(np.float32).transpose(1, 2, 3, 0),
        "BoxPredictor_0/ClassPredictor/biases": PREDICTOR_BIAS,
    }
    leaves = ("gamma", "beta", "moving_mean", "moving_variance")
    assert set(found) == {*kernels, *(f"{n}/BatchNorm/{leaf}" for n in norms for leaf in leaves)}
    for name, values in kernels.items():
        np.testing.assert_array_equal(found[name], values)
    for name, bias in norms.items():
        gamma, beta, mean, variance = (found[f"{name}/BatchNorm/{leaf}"] for leaf in leaves)
        x = np.float32(3.0)
        given = gamma * (x - mean) / np.sqrt(variance + np.float32(1e-3)) + beta
        np.testing.assert_allclose(given, x + bias, rtol=1e-6)


def test_a_graph_cut_short_or_damaged_is_refused_in_words_or_read(graph):
    data = graph.data()
    for end in range(0, len(data), 7):
        with pytest.raises(TensorFlowFileError):
            read_lite_graph(data[:end])
    drawn = np.random.default_rng(1)
    refused = 0
    for place in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[place] ^= int(drawn.integers(1, 256))
        try:
            read_lite_graph(bytes(damaged))
        except TensorFlowFileError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (("Conv/kernel", STEM), "kernel Conv/kernel is not named after a layer of TF-slim's"),
        (("net/Conv/Conv2D", STEM_BIAS), "is not named after a layer"),
    ],
)
def test_other_graphs_are_refused(kernel, said):
    written = Written()
    written.convolution(schema.BuiltinOperator.CONV_2D, kernel, ("net/Conv/BiasAdd", STEM_BIAS))
    with pytest.raises(TensorFlowFileError, match=said):
        read_lite_graph(written.data())
