"""Graphs of trained patches whose heads read maps, each held against JAX on a whole split."""

import importlib.util

import pytest

from adapters.experiment import backbones, exporting, exporting_onnx, graph_evaluation
from adapters.export import litert
from adapters.runtime import signatures
from tests import narrow

NEEDED = ("ai_edge_litert", "litert_converter", "onnx", "onnxruntime")
NOISE = exporting.Comparison((), 1e-4)


def check_every_graph(patch, task, weights, place):
    """LiteRT's and ONNX's graph and JAX's program for a patch, and the former two of it alone."""
    missing = [name for name in NEEDED if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")
    loaded, patch = backbones.load("narrow", str(weights)), str(patch)
    (room,) = exporting.rooms_for(loaded, [patch])
    settings = litert.Settings(2, (narrow.SIZE,), (4,), (signatures.NORMS,), others=(room,))
    said = exporting.backbone_graph(loaded, settings, NOISE, place / "graph.tflite")
    assert "norms_32_4_head1" in said
    assert room.head.computes in said
    exporting_onnx.backbone_graph(
        loaded, signatures.NORMS, room.size, NOISE, place / "graph.onnx", room
    )
    exporting.jax_graph(loaded, room.size, 4, NOISE, place / "graph.jax", room)
    for ending, name in (
        ("tflite", "LiteRT float32, inputs"),
        ("onnx", "ONNX Runtime, inputs"),
        ("jax", "jax.export"),
    ):
        found = graph_evaluation.compare(
            patch, str(place / f"graph.{ending}"), "test", task, str(weights), None
        )
        assert (found.graph, found.same) == (name, 1)
        assert found.accuracy == pytest.approx(found.in_jax, abs=1e-6)
        assert found.difference / found.largest < 1e-5
    exporting.task_graph(loaded, patch, (1,), NOISE, place / "own.tflite")
    exporting_onnx.task_graph(loaded, patch, NOISE, place / "own.onnx")
