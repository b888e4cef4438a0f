"""`launch/evaluate --graph`: a patch's answers by an exported graph, beside JAX's."""

import dataclasses
import importlib.util
import shutil

import numpy as np
import pytest

from adapters.experiment import (
    backbones,
    evaluation,
    exporting,
    exporting_onnx,
    graph_evaluation,
    graph_runtimes,
)
from adapters.export import litert
from adapters.runtime import signatures
from adapters.runtime.feeds import OtherSizeError
from adapters.runtime.graph_file import read_graph, write_graph
from adapters.training import tidy
from tests import commands, narrow
from tests.device import exported
from tests.launch import small
from tests.patches.table import PLAIN

NEEDED = ("ai_edge_litert", "litert_converter", "litert_quantizer", "onnx", "onnxruntime")
NOISE = exporting.Comparison((), 1e-4)
LABELS = ("class_0", "class_1")


@pytest.fixture(scope="module", autouse=True)
def _exporters():
    missing = [name for name in NEEDED if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a backbone, its graphs, a task and two patches of it."""
    place = tmp_path_factory.mktemp("made")
    weights = small.write_backbone(place / "narrow.safetensors")
    small.write_folder(place / "squares", classes=2)
    small.save_as_people_do(place / "squares")
    loaded = backbones.load("narrow", str(weights))
    for name, kernels in (("float.tflite", litert.FLOAT32), ("int8.tflite", litert.INT8)):
        settings = litert.Settings(8, (narrow.SIZE,), (1, 8), kernels=kernels)
        exporting.backbone_graph(loaded, settings, NOISE, place / name)
    exporting_onnx.backbone_graph(loaded, signatures.NORMS, 32, NOISE, place / "backbone.onnx")
    exporting.jax_graph(loaded, 32, 8, NOISE, place / "backbone.jax")
    full = next(entry for entry in PLAIN if entry.name.startswith("full"))
    for task, entry in (("one", PLAIN[2]), ("whole", full)):
        spec = entry.name.rpartition(", ")[0]
        made = exported.contents(task, entry, classes=2, labels=LABELS, patch=spec)
        exported.patch_file(place, made)
    exporting_onnx.task_graph(loaded, str(place / "one.patch"), NOISE, place / "own.onnx")
    return place


def compared(made, patch, graph, **how):
    task = f"folder:{made / 'squares'}"
    weights = str(made / "narrow.safetensors")
    return graph_evaluation.compare(
        str(made / patch), str(made / graph), "validation", task, weights, None, **how
    )


@pytest.mark.parametrize(
    ("patch", "graph", "kind", "far"),
    [
        ("one.patch", "float.tflite", "LiteRT float32, inputs", 1e-5),
        ("one.patch", "backbone.onnx", "ONNX Runtime, inputs", 1e-5),
        ("one.patch", "int8.tflite", "LiteRT int8, inputs", 0.2),
        ("whole.patch", "float.tflite", "LiteRT float32, folded", 1e-5),
        ("whole.patch", "backbone.jax", "jax.export", 1e-5),
    ],
)
def test_a_graph_s_answers_are_held_against_jax_s(made, patch, graph, kind, far):
    found = compared(made, patch, graph)
    assert found.graph == kind
    assert found.largest > 0.1
    assert 0 <= found.difference / found.largest < far
    assert found.same == 1 or far == 0.2
    said = evaluation.evaluate(
        str(made / patch),
        "validation",
        f"folder:{made / 'squares'}",
        str(made / "narrow.safetensors"),
        None,
    )
    assert f"{100 * found.in_jax:.4f} % of {found.images} " in str(said)
    metrics = {row.metric: row.value for row in found.rows("x")}
    assert metrics["top1"] == found.accuracy
    assert metrics["top1 difference"] == pytest.approx(found.accuracy - found.in_jax)
    assert metrics["largest difference of a logit"] == pytest.approx(found.difference, rel=1e-2)
    assert f"{100 * found.accuracy:.4f} % of {found.images}" in str(found)


def test_a_difference_is_seen(made, monkeypatch):
    """Answers that are the other way round in the graph, for every image."""

    class Wrong(graph_runtimes.Session):
        def predictions(self, inputs):
            return {"logits": super().predictions(inputs)["logits"][:, ::-1]}

    right = compared(made, "one.patch", "backbone.onnx")
    monkeypatch.setattr(graph_runtimes, "Session", Wrong)
    wrong = compared(made, "one.patch", "backbone.onnx")
    assert wrong.same == 0
    assert wrong.in_jax == right.in_jax
    assert wrong.difference > 1e-3


def test_a_graph_gets_files_as_a_device_makes_them_ready(made, monkeypatch):
    """Not the pixels that scores are of: with files read otherwise, answers differ."""
    plain = graph_evaluation.network_input
    monkeypatch.setattr(
        graph_evaluation, "network_input", lambda file, how: plain(file, how)[:, ::-1]
    )
    assert compared(made, "one.patch", "backbone.onnx").difference > 1e-3


def test_other_graphs_are_refused(made, tmp_path):
    with pytest.raises(graph_runtimes.GraphError, match="takes no patches"):
        compared(made, "one.patch", "own.onnx")
    other = {module: dict(leaves) for module, leaves in exported.weights().items()}
    other["tail"]["w"] = other["tail"]["w"] + np.float32(1)
    graph = export_onnx(other, "f" * 64)
    (made / "other.onnx").write_bytes(graph)
    with pytest.raises(graph_runtimes.GraphError, match="other weights"):
        compared(made, "one.patch", "other.onnx")


def test_node_s_answers_are_held_against_jax_s(made):
    if shutil.which("node") is None or not (graph_runtimes.JAVASCRIPT / "node_modules").exists():
        pytest.skip("needs node, and `npm ci --prefix javascript`")
    found = compared(made, "one.patch", "backbone.onnx", node=True)
    assert found.graph == "ONNX Runtime in Node, inputs"
    assert 0 < found.difference / found.largest < 1e-5
    assert found.same == 1


def test_node_is_refused_where_it_cannot_be(made, monkeypatch):
    with pytest.raises(graph_runtimes.GraphError, match=r"float.tflite is none: run it here"):
        compared(made, "one.patch", "float.tflite", node=True)
    monkeypatch.setattr(graph_runtimes.shutil, "which", lambda _: None)
    with pytest.raises(graph_runtimes.NodeError, match="there is no `node` on PATH"):
        compared(made, "one.patch", "backbone.onnx", node=True)
    monkeypatch.setattr(graph_runtimes.shutil, "which", lambda _: "node")
    monkeypatch.setattr(graph_runtimes, "JAVASCRIPT", made / "nowhere")
    with pytest.raises(graph_runtimes.NodeError, match="npm ci --prefix javascript"):
        compared(made, "one.patch", "backbone.onnx", node=True)


def test_a_jax_program_that_cannot_be_run_is_refused(made):
    whole = (made / "backbone.jax").read_bytes()
    (made / "cut.jax").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(graph_runtimes.GraphError, match="no backbone exported to jax"):
        compared(made, "one.patch", "cut.jax")
    loaded = backbones.load("narrow", str(made / "narrow.safetensors"))
    exporting.jax_graph(loaded, 32, 3, NOISE, made / "three.jax")
    with pytest.raises(graph_runtimes.GraphError, match="takes 3 images in a call, which does not"):
        compared(made, "one.patch", "three.jax")


@pytest.mark.parametrize("graph", ["float.tflite", "int8.tflite", "backbone.onnx", "backbone.jax"])
def test_a_graph_for_images_of_another_size_is_refused(made, tmp_path, graph):
    preprocessing = dataclasses.replace(exported.PREPROCESSING, size=48)
    patch = exported.contents("one", classes=2, labels=LABELS, preprocessing=preprocessing)
    path = exported.patch_file(tmp_path, patch)
    said = "one looks at images of 48 pixels, this graph at 32. Export it for size 48 too."
    with pytest.raises(OtherSizeError, match=said):
        compared(made, path, graph)


def test_a_graph_of_other_batches_is_refused(made):
    graph = dataclasses.replace(read_graph(made / "float.tflite"), batches=(3, 5))
    write_graph(made / "odd.tflite", graph)
    with pytest.raises(graph_runtimes.GraphError, match="takes 3, 5 images in a call, none of"):
        compared(made, "one.patch", "odd.tflite")


def export_onnx(weights, mark):
    from adapters.export.onnx.export import export_backbone

    about = {"backbone": "narrow", "fingerprint": mark, "size": 32}
    return export_backbone(narrow.BACKBONE, weights, signatures.NORMS, 32, about)


def test_the_command_keeps_rows(made, tmp_path):
    results = tmp_path / "device.csv"
    asked = [made / "one.patch", f"--task=folder:{made / 'squares'}", f"--results={results}"]
    asked.append(f"--weights={made / 'narrow.safetensors'}")
    ended = commands.run("tests.launch.small_evaluate", *asked)
    assert "by --graph, --server, --standard or --places" in ended.stdout + ended.stderr
    asked += [f"--graph={made / 'backbone.onnx'}", "--split=validation"]
    ended = commands.run("tests.launch.small_evaluate", *asked)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("squares, ONNX Runtime, inputs: validation top1 ")
    rows = tidy.read(results)
    assert {row.setting for row in rows} == {"ONNX Runtime, inputs, 32 px"}
    assert {row.command for row in rows} == {
        "launch/evaluate out/*.patch --split=validation --graph=device/backbone.onnx"
    }
