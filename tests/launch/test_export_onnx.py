"""`launch/export --to=onnx` and `--to=inputs`: what they write, and what the two give together."""

import importlib.util
import re

import numpy as np
import pytest
import safetensors.numpy

from adapters.experiment import backbones, exporting, exporting_onnx
from adapters.export import export_parity
from adapters.export.onnx.session import Session
from adapters.runtime import signatures
from adapters.runtime.feeds import UnsupportedPatchError
from adapters.store import parity
from tests import commands, imports, narrow
from tests.device import exported
from tests.launch import small
from tests.patches.table import PLAIN

NOISE = exporting.Comparison((), 1e-4)


@pytest.fixture(scope="module", autouse=True)
def _onnx():
    missing = [name for name in ("onnx", "onnxruntime") if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")


@pytest.fixture
def loaded(tmp_path):
    return backbones.load("narrow", str(small.write_backbone(tmp_path / "narrow.safetensors")))


def entry(name):
    return next(entry for entry in PLAIN if entry.name.startswith(name))


def printed(text):
    """The differences by number of images that a report lists."""
    return {name: float(far) for name, far in re.findall(r"^  (\w+) +(\S+)$", text, re.M)}


def stated(made):
    """A patch's parity image, and the logits that it must give."""
    return parity.seeded_image(made.parity.seed, made.parity.shape)[None], made.parity.logits


@pytest.mark.parametrize(("patch", "kind"), [("scale_bias", "norms"), ("depthwise", "depthwise")])
def test_a_graph_and_a_patch_s_inputs_give_the_patch_s_logits(loaded, tmp_path, patch, kind):
    graph, inputs = tmp_path / "backbone.onnx", tmp_path / "one.safetensors"
    picture = tmp_path / "photo.png"
    picture.write_bytes(exported.png(0))
    comparison = exporting.Comparison([str(picture)], 1e-4)
    text = exporting_onnx.backbone_graph(loaded, kind, narrow.SIZE, comparison, graph)
    assert text.startswith(f"{graph}: narrow at 32 pixels, heads of any number of outputs")
    assert "on 1 image files and 8 images of seeded noise" in text
    found = printed(text)
    assert found.keys() == {"images_1", "images_8"}
    assert 0 < max(found.values()) < 1e-5
    made = exported.contents("one", entry(patch))
    file = str(exported.patch_file(tmp_path, made))
    said = exporting_onnx.graph_inputs(loaded, file, kind, inputs)
    assert said.startswith(f"{inputs}: one on narrow as ")
    image, logits = stated(made)
    given = safetensors.numpy.load_file(inputs)
    got = Session(graph.read_bytes(), 1).run({**given, signatures.IMAGES: image})
    np.testing.assert_allclose(got[0], logits, atol=1e-4)


def test_one_task_s_graph_takes_adapters_too(loaded, tmp_path):
    made, out = exported.contents("one", entry("conv_adapter")), tmp_path / "one.onnx"
    patch = str(exported.patch_file(tmp_path, made))
    text = exporting_onnx.task_graph(loaded, patch, NOISE, out)
    assert text.startswith(f"{out}: one on narrow, 3 classes")
    image, logits = stated(made)
    got = Session(out.read_bytes(), 1).run({signatures.IMAGES: image})
    np.testing.assert_allclose(got[0], logits, atol=1e-4)
    with pytest.raises(UnsupportedPatchError, match="xport a graph for this task alone"):
        exporting_onnx.graph_inputs(loaded, patch, signatures.NORMS, tmp_path / "inputs")
    assert not (tmp_path / "inputs").exists()


def test_what_differs_too_much_is_not_written(loaded, tmp_path):
    out = tmp_path / "backbone.onnx"
    strict = exporting.Comparison((), 1e-12)
    with pytest.raises(export_parity.ExportParityError, match="1e-12 is allowed"):
        exporting_onnx.backbone_graph(loaded, signatures.NORMS, narrow.SIZE, strict, out)
    assert not out.exists()


def test_the_command_exports_to_onnx(tmp_path):
    weights = small.write_backbone(tmp_path / "narrow.safetensors")
    out = tmp_path / "device" / "backbone.onnx"
    flags = [f"--weights={weights}", "--to=onnx", f"--sizes={narrow.SIZE}", f"--out={out}"]
    ended = commands.run("tests.launch.small_export", "--backbone=narrow", *flags)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{out}: narrow at 32 pixels")
    assert out.exists()


def test_the_documented_way_runs(loaded, tmp_path, monkeypatch):
    text = (imports.ROOT / "docs" / "export.md").read_text()
    (code,) = re.findall(r"^```python\n(import onnxruntime.*?)^```", text, re.M | re.S)
    made = exported.contents("digits")
    kind, graph = signatures.NORMS, tmp_path / "backbone.onnx"
    exporting_onnx.backbone_graph(loaded, kind, narrow.SIZE, NOISE, graph)
    patch = str(exported.patch_file(tmp_path, made))
    exporting_onnx.graph_inputs(loaded, patch, kind, tmp_path / "digits.safetensors")
    monkeypatch.chdir(tmp_path)
    image, wanted = stated(made)
    names = {"images": image}
    exec(code, names)
    np.testing.assert_allclose(names["logits"][0], wanted, atol=1e-4)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_what_is_not_installed_is_said_before_the_backbone_is_loaded(missing):
    flags = ["--backbone=mobilenet_v2_1.0", "--to=onnx", "--weights=missing.h5", "--out=x"]
    ended = commands.run("tests.launch.without", missing, "launch.export", *flags)
    assert ended.returncode == 2
    assert f"lacks one of them: import of {missing}" in ended.stderr
    assert "pip install onnx onnxruntime" in ended.stderr
