"""The Android example's code, compiled by Debian's Kotlin and held against Python.

Opt-in: `apt-get install --no-install-recommends kotlin libandroid-json-java`. No registry in reach
has Android's own classes or LiteRT's: what calls those is compiled against `stubs/`, written by
hand, and was run on no phone.
"""

import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from adapters.preprocessing import Preprocessing, normalise, prepare
from adapters.runtime import input_file
from adapters.store import parity
from tests import imports

HERE = imports.ROOT / "tests" / "phone"
SOURCES = imports.ROOT / "examples" / "android" / "app" / "src" / "main" / "java"
JSON = pathlib.Path("/usr/share/java/com.android.json.jar")  # as Android has it
KOTLIN = pathlib.Path("/usr/share/java/kotlin-stdlib.jar")
LABELS = ["cat", "dog", "Vögel", "fish"]
LOGITS = [0.25, -1.5, 2.31538963317871, 0.125]
MOST = 2e-3 * max(LOGITS)  # the tolerance that a patch may state, and patches do state
HOW = Preprocessing(24, (123.5, 116.25, 103.0), (58.5, 57.0, 57.25), "crop", (10, 200, 30))
ABOUT = {
    "task": "tiny",
    "labels": LABELS,
    "preprocessing": HOW.to_json(),
    "backbone": "tiny_backbone",
    "fingerprint": "0123456789abcdef" * 4,
    "parity": {"seed": 2**41 + 3, "shape": [24, 24, 3], "logits": LOGITS, "tolerance": MOST},
}
PICTURES = {"wide": (90, 41), "tall": (37, 301), "small": (9, 14), "same": (24, 24)}
TENSORS = {
    "head/w": np.arange(12, dtype=np.float32).reshape(3, 4),
    "head/b": np.array([1, 2, 3, 4], np.float32),
    "block_1/norm/scale": np.array([0.5, -2.25], np.float32),
}


def written(about=ABOUT, tensors=TENSORS):
    return safetensors.numpy.save(tensors, {input_file.KEY: json.dumps(about)})


def bad():
    """Files that are no patch of a classifier, by the reason."""
    good = written()
    preprocessing = HOW.to_json()
    about = {
        "head": {**ABOUT, "head": {"kind": "regression", "settings": {}}},
        "labels": {**ABOUT, "labels": LABELS[:3]},
        "fit": {**ABOUT, "preprocessing": {**preprocessing, "fit": "turn"}},
        "size": {**ABOUT, "preprocessing": {**preprocessing, "size": 0}},
        "grey": {**ABOUT, "preprocessing": {**preprocessing, "mean": [1.0]}},
        "parity": {name: value for name, value in ABOUT.items() if name != "parity"},
    }
    tensors = {
        "half": {name: leaf.astype(np.float16) for name, leaf in TENSORS.items()},
        "nan": {**TENSORS, "head/b": np.array([1, np.nan, 3, 4], np.float32)},
        "headless": {"x": np.ones(2, np.float32)},
    }
    return {
        "empty": b"",
        "short": good[:5],
        "cut": good[:-1],
        "header": good[:40],
        "length": b"\xff" * 8 + good[8:],
        "text": b"<!doctype html><html></html>",
        "places": good.replace(b'"data_offsets":[', b'"data_offsets":[4,', 1),
        **{name: written(changed) for name, changed in about.items()},
        **{name: written(tensors=changed) for name, changed in tensors.items()},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of cases, and what the example's code made of them."""
    if shutil.which("kotlinc") is None or not JSON.exists() or not KOTLIN.exists():
        pytest.skip("needs `apt-get install kotlin libandroid-json-java`")
    place = tmp_path_factory.mktemp("phone")
    (place / "task.safetensors").write_bytes(written())
    generator = np.random.default_rng(0)
    for name, (width, height) in PICTURES.items():
        pixels = generator.integers(0, 256, (height, width, 3), np.uint8)
        (place / name).write_bytes(pixels.tobytes())
    (place / "pictures.json").write_text(json.dumps(PICTURES))
    for name, content in bad().items():
        (place / f"{name}.bad").write_bytes(content)
    compile_ = ["kotlinc", "-no-reflect", "-nowarn", "-d", place / "all.jar", "-cp", JSON]
    run([*compile_, SOURCES, HERE / "stubs", HERE / "Check.kt"])
    classes = ":".join(map(str, (place / "all.jar", KOTLIN, JSON)))
    (place / "said").write_text(run(["java", "-cp", classes, "CheckKt", place]))
    return place


def run(command):
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("name", PICTURES)
def test_pixels_are_python_s_to_the_bit(folder, name, fit):
    width, height = PICTURES[name]
    how = Preprocessing(HOW.size, HOW.mean, HOW.std, fit, HOW.background)
    pixels = np.fromfile(folder / name, np.uint8).reshape(height, width, 3)
    wanted = prepare(Image.fromarray(pixels), how)
    got = np.fromfile(folder / f"{name}.{fit}", np.uint8).reshape(wanted.shape)
    np.testing.assert_array_equal(got, wanted)
    got = np.fromfile(folder / f"{name}.{fit}.input", "<f4").reshape(wanted.shape)
    np.testing.assert_array_equal(got, normalise(wanted, how))


def test_the_parity_image_is_python_s(folder):
    wanted = parity.seeded_image(ABOUT["parity"]["seed"], (24, 24, 3)).ravel()[:1000]
    np.testing.assert_array_equal(np.fromfile(folder / "noise", "<f4"), wanted)


def test_the_graph_is_given_the_patch_with_a_head_of_its_width(folder):
    kernel = np.fromfile(folder / "head_w", "<f4").reshape(3, 6)
    np.testing.assert_array_equal(kernel, np.pad(TENSORS["head/w"], ((0, 0), (0, 2))))
    bias = np.fromfile(folder / "head_b", "<f4")
    np.testing.assert_array_equal(bias, [*TENSORS["head/b"], np.nan, np.nan])
    scale = np.fromfile(folder / "block_1_norm_scale", "<f4")
    np.testing.assert_array_equal(scale, TENSORS["block_1/norm/scale"])


def test_answers_are_the_most_probable_labels(folder):
    said = json.loads((folder / "said").read_text())
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum()
    assert said["task"] == "tiny"
    assert [label for label, _ in said["answers"]] == ["Vögel", "cat"]
    assert [share for _, share in said["answers"]] == pytest.approx([shares[2], shares[0]])


def test_what_is_no_patch_is_refused(folder):
    said = json.loads((folder / "said").read_text())
    assert said["faults"].keys() == {f"{name}.bad" for name in bad()}
    assert all(fault.startswith("refused: ") for fault in said["faults"].values()), said
    assert said["unlike"] == "refused: it does not give the logits here that it states"
