"""`launch/export`: what it writes, what it prints, and when it writes nothing."""

import importlib.util
import re
import tomllib

import jax
import numpy as np
import pytest

from adapters.experiment import backbones, exporting, output
from adapters.export import export_parity, litert
from adapters.runtime import engine, signatures
from adapters.runtime.device import Device, network_input
from adapters.store import parity
from tests import commands, imports, narrow
from tests.device import exported
from tests.launch import small
from tests.patches.table import PLAIN

SETTINGS = litert.Settings(classes=8, sizes=(narrow.SIZE,), batches=(1, 2))
NOISE = exporting.Comparison((), 1e-4)


@pytest.fixture(scope="module", autouse=True)
def _litert():
    missing = [n for n in ("ai_edge_litert", "litert_converter") if not importlib.util.find_spec(n)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")


@pytest.fixture
def loaded(tmp_path):
    return backbones.load("narrow", str(small.write_backbone(tmp_path / "narrow.safetensors")))


def printed(text):
    """The differences by signature that a report lists."""
    return {name: float(far) for name, far in re.findall(r"^  (\w+) +(\S+)$", text, re.M)}


def test_a_backbone_is_exported_with_its_parity_and_takes_patches(loaded, tmp_path):
    out = tmp_path / "backbone.tflite"
    picture = tmp_path / "photo.png"
    picture.write_bytes(exported.png(0))
    comparison = exporting.Comparison([str(picture)], 1e-4)
    text = exporting.backbone_graph(loaded, SETTINGS, comparison, out)
    assert text.startswith(f"{out}: narrow, heads of up to 8 outputs, {out.stat().st_size:,} bytes")
    assert "on 1 image files and 2 images of seeded noise" in text
    found = printed(text)
    assert found.keys() == {"norms_32_1", "norms_32_2", "folded_32_1", "folded_32_2"}
    assert 0 < max(found.values()) < 1e-5
    device = Device(out)
    device.install(exported.patch_file(tmp_path, exported.contents("one")))
    assert device.run("one", exported.png(1)).label.startswith("one_")


def test_kernels_of_int8_are_smaller_and_their_rounding_is_said(loaded, tmp_path):
    pytest.importorskip("litert_quantizer", reason="`launch/test` installs it")
    out = tmp_path / "small.tflite"
    text = exporting.backbone_graph(loaded, SETTINGS._replace(kernels=litert.INT8), NOISE, out)
    found = printed(text)
    assert found.keys() == {"norms_32_1", "norms_32_2", "folded_32_1", "folded_32_2"}
    assert max(found.values()) < 1e-5  # to JAX with the rounded kernels
    moved = float(re.search(r"moved a logit by up to (\S+) of its image's largest", text)[1])
    assert 1e-3 < moved < 0.2
    device = Device(out)
    device.install(exported.patch_file(tmp_path, exported.contents("one")))
    assert device.run("one", exported.png(1)).label.startswith("one_")


def test_one_task_s_graph_takes_adapters_too(loaded, tmp_path):
    entry = next(entry for entry in PLAIN if entry.name.startswith("conv_adapter"))
    patch = exported.patch_file(tmp_path, exported.contents("one", entry))
    out = tmp_path / "one.tflite"
    text = exporting.task_graph(loaded, str(patch), (1, 2), NOISE, out)
    assert text.startswith(f"{out}: one on narrow, 3 classes")
    assert max(printed(text).values()) < 1e-5
    assert out.exists()


def test_a_jax_program_is_read_back(loaded, tmp_path):
    out = tmp_path / "backbone.jax"
    text = exporting.jax_graph(loaded, narrow.SIZE, 2, NOISE, out)
    assert printed(text)["call"] < 1e-5
    program = jax.export.deserialize(bytearray(out.read_bytes()))
    images = np.zeros((2, narrow.SIZE, narrow.SIZE, 3), np.float32)
    found = program.call(loaded.weights, exported.head(4, seed=0), images)
    assert found["logits"].shape == (2, 4)


def test_a_file_is_replaced_when_that_is_asked_for_and_a_folder_never(tmp_path):
    file = tmp_path / "backbone.tflite"
    file.write_text("old")
    assert output.new_file(file, overwrite=True) == file
    for path, overwrite, said in ((file, False, "overwrite it, move"), (file, None, "y: move it")):
        with pytest.raises(output.OutputFileError, match=said):
            output.new_file(path, overwrite)
    with pytest.raises(output.OutputFileError, match="already: move it"):
        output.new_file(tmp_path, overwrite=True)


def test_the_command_exports_a_backbone(tmp_path):
    weights = small.write_backbone(tmp_path / "narrow.safetensors")
    out, picture = tmp_path / "device" / "backbone.tflite", tmp_path / "photo.png"
    picture.write_bytes(exported.png(0))
    flags = ["--backbone=narrow", f"--weights={weights}", f"--sizes={narrow.SIZE}", "--batches=1,3"]
    more = ["--classes=5", "--depthwise", f"--out={out}", str(picture)]
    ended = commands.run("tests.launch.small_export", *flags, *more)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{out}: narrow, heads of up to 5 outputs")
    kinds = (signatures.NORMS, signatures.DEPTHWISE, signatures.FOLDED)
    names = {signatures.signature(kind, narrow.SIZE, batch) for kind in kinds for batch in (1, 3)}
    assert printed(ended.stdout).keys() == names
    device, made = Device(out), exported.contents("one", classes=5)
    device.install(exported.patch_file(tmp_path, made))
    assert device.run("one", exported.png(1)).probabilities.keys() == set(made.labels)
    again = commands.run("tests.launch.small_export", *flags, *more)
    assert (again.returncode, again.stdout) == (2, "")
    assert "exists already" in again.stderr


def test_the_command_exports_one_task(tmp_path):
    weights = small.write_backbone(tmp_path / "narrow.safetensors")
    entry = next(entry for entry in PLAIN if entry.name.startswith("parallel_adapter"))
    made, out = exported.contents("one", entry), tmp_path / "one.tflite"
    patch = exported.patch_file(tmp_path, made)
    flags = [f"--patch={patch}", f"--weights={weights}", "--batches=1", f"--out={out}"]
    ended = commands.run("tests.launch.small_export", *flags)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{out}: one on narrow, 3 classes")
    assert printed(ended.stdout).keys() == {"run_1"}
    stated = made.parity
    image = parity.seeded_image(stated.seed, stated.shape)
    opened = engine.Engine(out.read_bytes(), threads=1)
    logits = opened.run("run_1", {signatures.IMAGES: image[None]}, signatures.LOGITS)
    np.testing.assert_allclose(logits[0], stated.logits, atol=1e-4)


def test_what_differs_too_much_is_not_written(loaded, tmp_path):
    out = tmp_path / "backbone.tflite"
    strict = exporting.Comparison((), 1e-12)
    with pytest.raises(export_parity.ExportParityError, match="1e-12 is allowed"):
        exporting.backbone_graph(loaded, SETTINGS, strict, out)
    assert not out.exists()


@pytest.mark.parametrize("to", ["backbone", "task", "jax"])
def test_every_file_is_compared_and_noise_beside(loaded, tmp_path, monkeypatch, to):
    """Five files, more than the largest batch, of which two is no divisor."""
    seen = []

    def noting(self, signature, inputs):
        seen.extend(image.tobytes() for image in inputs[signatures.IMAGES])
        return run(self, signature, inputs)

    run = engine.Engine.predictions
    monkeypatch.setattr(engine.Engine, "predictions", noting)
    paths = [tmp_path / f"{seed}.png" for seed in range(5)]
    for seed, path in enumerate(paths):
        path.write_bytes(exported.png(seed))
    comparison, out = exporting.Comparison([str(path) for path in paths], 1e-4), tmp_path / "out"
    if to == "backbone":
        text = exporting.backbone_graph(loaded, SETTINGS, comparison, out)
    elif to == "task":
        patch = exported.patch_file(tmp_path, exported.contents("one"))
        text = exporting.task_graph(loaded, str(patch), (2,), comparison, out)
    else:
        worst = export_parity.worst

        def noting_worst(wanted, inputs, batch, run):
            seen.extend(image.tobytes() for image in inputs["images"])
            return worst(wanted, inputs, batch, run)

        monkeypatch.setattr(export_parity, "worst", noting_worst)
        text = exporting.jax_graph(loaded, narrow.SIZE, 2, comparison, out)
    pixels = [network_input(path.read_bytes(), exported.PREPROCESSING) for path in paths]
    noise = [parity.seeded_image(seed, (narrow.SIZE, narrow.SIZE, 3)) for seed in range(2)]
    assert {image.tobytes() for image in (*pixels, *noise)} == set(seen)
    assert "on 5 image files and 2 images of seeded noise" in text


def test_a_difference_in_the_last_image_alone_is_found():
    logits = np.ones((5, 3), np.float32)
    wanted = logits.copy()
    wanted[4, 1] = 2
    inputs = {"images": np.zeros((5, 4, 4, 3), np.float32), "place": np.arange(5)}

    def run(part):
        assert part["images"].shape == (2, 4, 4, 3)
        return {"logits": logits[part["place"]], "offsets": wanted[part["place"]]}

    def far(named):
        return export_parity.worst({"offsets": wanted, "logits": named}, inputs, 2, run)

    assert far(wanted) == 0.5
    assert far(logits) == 0
    logits[0] = np.nan
    assert np.isnan(far(wanted))


def test_a_file_that_is_no_image_is_named(loaded, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("no image")
    comparison = exporting.Comparison([str(other)], 1e-4)
    with pytest.raises(exporting.ImageFileError, match=r"notes\.txt: it is no image"):
        exporting.backbone_graph(loaded, SETTINGS, comparison, tmp_path / "out.tflite")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out=x"], "name a backbone or a patch, and where to write"),
        (["--backbone=narrow", "--patch=x", "--out=x"], "name a backbone or a patch"),
        (["--backbone=mobilenet_v2_1.0", "--sizes=big", "--out=x"], "--sizes=1,8"),
        (["--backbone=mobilenet_v2_1.0", "--out=x"], "is a layer table without weights"),
        (["--patch=missing.patch", "--out=x"], "missing.patch: there is no such file"),
        (["--patch=x", "--sizes=64", "--classes=9", "--out=x"], "leave out --sizes, --classes"),
        (["--patch=x", "--portable", "--out=x"], "leave out --portable"),
        (["--patch=x", "--depthwise", "--out=x"], "leave out --depthwise"),
        (["--patch=x", "--to=onnx", "--batches=1", "--out=x"], "leave out --batches"),
        (["--patch=x", "--to=inputs", "--tolerance=1", "--out=x"], "leave out --tolerance"),
        (["--patch=x", "--to=jax", "--out=x"], "a JAX program takes any patch"),
        (["--backbone=x", "--to=inputs", "--out=x"], "--to=inputs is of a patch"),
        (["--backbone=x", "--to=onnx", "--sizes=64,96", "--out=x"], "a graph for one size"),
        (["--backbone=x", "--to=onnx", "--classes=9", "--out=x"], "leave out --classes"),
        (["--backbone=x", "--to=onnx", "--kernels=int8", "--out=x"], "leave out --kernels"),
        (["--backbone=x", "--to=onnx", "--portable", "--out=x"], "leave out --portable"),
        (["--backbone=x", "--to=jax", "--classes=9", "--out=x"], "leave out --classes"),
        (["--backbone=x", "--to=jax", "--batches=1,8", "--out=x"], "one size and one batch"),
    ],
)
def test_what_is_missing_is_said(arguments, said):
    ended = commands.run("launch.export", *arguments)
    assert ended.returncode in (1, 2)
    assert said in ended.stdout + ended.stderr


@pytest.mark.parametrize("missing", ["ai_edge_litert", "litert_converter"])
def test_a_missing_converter_is_said_before_the_backbone_is_loaded(missing):
    flags = ["--backbone=mobilenet_v2_1.0", "--weights=missing.h5", "--out=x"]
    ended = commands.run("tests.launch.without", missing, "launch.export", *flags)
    assert ended.returncode == 2
    assert "The converter is made for Linux on x86-64 and for macOS on Apple" in ended.stderr
    assert f"No module named '{missing}" in ended.stderr
    install = "pip install '.[train,device]' && pip install --no-deps 'litert-converter>=0.5,<0.6'"
    assert install in ended.stderr
    assert install in (imports.ROOT / "docs" / "export.md").read_text()
    asked = tomllib.loads((imports.ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert "litert-converter>=0.5,<0.6" in {
        entry.partition(" ; ")[0] for entry in asked["converter"]
    }
