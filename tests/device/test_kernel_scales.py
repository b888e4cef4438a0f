"""Scales moved into kernels: where, with what result, and in which bytes."""

import functools
import math

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from adapters.export import export_parity, kernel_scales
from adapters.export.litert import export_backbone
from adapters.runtime import signatures
from adapters.runtime.engine import Engine
from adapters.runtime.feeds import fed
from tests import narrow
from tests.device import exported

SIDE = narrow.SIZE


@functools.cache
def graph_of(portable):
    kinds = (signatures.NORMS, signatures.DEPTHWISE)
    settings = exported.SETTINGS._replace(kinds=kinds, portable=portable)
    return export_backbone(
        *("narrow", narrow.BACKBONE, exported.weights(), "0" * 64),
        *(narrow.EPSILON, narrow.PIXELS, settings),
    )


def layers(flatbuffer):
    """Every (operation, input shapes, output shape) of the first signature."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(flatbuffer))
    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    graph = model.subgraphs[0]
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        shapes = [tuple(graph.tensors[i].shape) for i in operator.inputs if i >= 0]
        yield names[code], shapes, tuple(graph.tensors[operator.outputs[0]].shape)


@pytest.mark.parametrize(("pixels_an_input", "expected"), [(1, 6), (8, 2), (1000, 0)])
def test_a_scale_is_in_the_kernel_where_a_map_has_pixels_enough(
    monkeypatch, pixels_an_input, expected
):
    monkeypatch.setattr(kernel_scales, "PIXELS_AN_INPUT", pixels_an_input)
    portable = graph_of(portable=True).flatbuffer
    before, after = list(layers(portable)), list(layers(kernel_scales.scale_kernels(portable)))
    norms = [x for name, x, _ in before if name == "FULLY_CONNECTED" and len(x[0]) == 4]
    moved = [w for x, w, *_ in norms if math.prod(x[:-1]) > pixels_an_input * w[1]]
    assert len(moved) == expected
    kernels = [
        [y for name, _, y in each if name == "MUL" and len(y) == 2] for each in (before, after)
    ]
    assert sorted(kernels[1]) == sorted(kernels[0] + moved)
    names = [[name for name, *_ in each] for each in (before, after)]
    assert names[0].count("MUL") == names[1].count("MUL")
    assert names[0].count("ADD") - names[1].count("ADD") == expected
    assert names[0].count("DEPTHWISE_CONV_2D") == names[1].count("DEPTHWISE_CONV_2D") == 3


@pytest.mark.parametrize("kind", [signatures.NORMS, signatures.DEPTHWISE])
def test_answers_are_those_of_the_portable_graph(kind):
    images = np.random.default_rng(0).standard_normal((4, SIDE, SIDE, 3), np.float32)
    head = exported.head(exported.CLASSES, seed=0)
    name, logits = signatures.signature(kind, SIDE, 4), []
    for portable in (True, False):
        graph = graph_of(portable)
        inputs = fed(graph, kind, graph.weights).inputs
        given = {**inputs, "images": images, "head/w": head["w"], "head/b": head["b"]}
        logits.append(Engine(graph.flatbuffer, threads=1).run(name, given, signatures.LOGITS))
        # Other runtimes answer the same, if more slowly.
        runner = Interpreter(model_content=graph.flatbuffer).get_signature_runner(name)
        logits.append(runner(**given)[signatures.LOGITS])
    for each in logits[1:]:
        assert export_parity.difference(logits[0], each) < 1e-5


def test_constants_lie_where_litert_s_schema_wants_them():
    data = graph_of(portable=False).flatbuffer
    model = schema.Model.GetRootAs(data)
    starts = []
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if not buffer.DataIsNone():
            field = buffer._tab.Offset(4)
            starts.append(buffer._tab.Vector(field))
    assert len(starts) > 10
    assert {start % 16 for start in starts} == {0}


def test_a_graph_without_such_layers_stays_as_it_is():
    kinds = (signatures.FOLDED,)
    settings = exported.SETTINGS._replace(kinds=kinds, portable=True)
    graph = export_backbone(
        *("narrow", narrow.BACKBONE, exported.weights(), "0" * 64),
        *(narrow.EPSILON, narrow.PIXELS, settings),
    )
    same = kernel_scales.scale_kernels(graph.flatbuffer)
    assert list(layers(same)) == list(layers(graph.flatbuffer))
