"""Node answers as Python does. Opt-in: `npm ci --prefix javascript` brings what it needs."""

import importlib.util
import json
import shutil
import subprocess

import numpy as np
import pytest

from adapters.export.onnx import export
from adapters.export.onnx.session import Session
from adapters.runtime import signatures
from adapters.runtime.feeds import patch_inputs
from adapters.runtime.input_file import write_inputs
from adapters.store import parity
from tests import imports, narrow
from tests.device import exported
from tests.patches.table import PLAIN

JAVASCRIPT = imports.ROOT / "javascript"


@pytest.fixture(scope="module", autouse=True)
def _node():
    if shutil.which("node") is None or not (JAVASCRIPT / "node_modules").exists():
        pytest.skip("needs node, and `npm ci --prefix javascript`")
    if not importlib.util.find_spec("onnx") or not importlib.util.find_spec("onnxruntime"):
        pytest.skip("not installed: onnx or onnxruntime; `launch/test` installs what is missing")


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "backbone.onnx"
    path.write_bytes(
        export.export_backbone(
            narrow.BACKBONE, exported.weights(), signatures.NORMS, narrow.SIZE, {}
        )
    )
    return path


@pytest.fixture
def images(tmp_path):
    shape = (narrow.SIZE, narrow.SIZE, 3)
    made = np.stack([parity.seeded_image(seed, shape) for seed in range(3)])
    (tmp_path / "images.f32").write_bytes(made.tobytes())
    return made


def ran(*arguments):
    command = ["node", "logits.mjs", *map(str, arguments)]
    return subprocess.run(command, cwd=JAVASCRIPT, capture_output=True, text=True, timeout=60)


def logits(*arguments):
    ended = ran(*arguments)
    assert ended.returncode == 0, ended.stderr
    return np.array(json.loads(ended.stdout), np.float32)


@pytest.mark.parametrize("classes", [3, 5])
def test_a_patch_s_inputs_give_python_s_logits(graph, images, tmp_path, classes):
    made = exported.contents("one", seed=classes, classes=classes)
    inputs = patch_inputs(exported.weights(), narrow.EPSILON, made.edits, signatures.NORMS)
    file = tmp_path / "one.safetensors"
    write_inputs(file, made, inputs)
    head = {signatures.HEAD_W: made.head["w"], signatures.HEAD_B: made.head["b"]}
    wanted = Session(graph.read_bytes(), 1).run({**inputs, **head, signatures.IMAGES: images})
    np.testing.assert_allclose(logits(graph, file, tmp_path / "images.f32"), wanted, atol=1e-4)
    seeded = parity.seeded_image(made.parity.seed, made.parity.shape)
    seeded.tofile(tmp_path / "seeded.f32")
    stated = logits(graph, file, tmp_path / "seeded.f32")
    np.testing.assert_allclose(stated[0], made.parity.logits, atol=1e-4)


def test_a_graph_of_one_task_gives_python_s_logits(images, tmp_path):
    entry = next(entry for entry in PLAIN if entry.name.startswith("conv_adapter"))
    made, path = exported.contents("one", entry), tmp_path / "one.onnx"
    own = export.export_task(
        narrow.BACKBONE,
        exported.weights(),
        narrow.EPSILON,
        made.edits,
        made.head,
        narrow.SIZE,
        {},
    )
    path.write_bytes(own)
    wanted = Session(own, 1).run({signatures.IMAGES: images})
    np.testing.assert_allclose(logits(path, "-", tmp_path / "images.f32"), wanted, atol=1e-4)


def test_without_a_patch_nothing_answers(graph, images, tmp_path):
    ended = ran(graph, "-", tmp_path / "images.f32")
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert "missing" in ended.stderr


@pytest.mark.parametrize("length", [0, 100])
def test_what_is_no_images_is_refused(graph, tmp_path, length):
    (tmp_path / "images.f32").write_bytes(bytes(length))
    ended = ran(graph, "-", tmp_path / "images.f32")
    assert ended.returncode != 0
    assert f"holds {length} bytes, no images of {narrow.SIZE} pixels" in ended.stderr


def test_another_safetensors_file_is_refused(graph, images, tmp_path):
    import safetensors.numpy

    other = tmp_path / "other.safetensors"
    safetensors.numpy.save_file({"w": np.zeros(3, np.float32)}, other)
    ended = ran(graph, other, tmp_path / "images.f32")
    assert ended.returncode != 0
    assert "not written by launch/export --to=inputs" in ended.stderr
