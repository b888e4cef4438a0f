"""What the page makes of files and names that others made. Needs node and no package."""

import base64
import hashlib
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import safetensors.numpy
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters import names
from adapters.heads.detection.anchors import placed
from adapters.heads.registry import from_spec
from adapters.indexed_png import COLOURS
from adapters.preprocessing import Preprocessing, view_of
from adapters.runtime import input_file
from adapters.store import parity, signed_folder
from tests import imports

BROWSER = imports.ROOT / "javascript" / "browser"
HERE = imports.ROOT / "tests" / "javascript"
PARITY = {"seed": 7, "shape": [8, 8, 3], "logits": [0.25, -1.5], "tolerance": 1e-3}
ABOUT = {
    "task": "tiny",
    "labels": ["cat", "dog"],
    "preprocessing": {"size": 8},
    "backbone": "tiny_backbone",
    "fingerprint": "0123456789abcdef" * 4,
    "parity": PARITY,
}
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def node(*arguments, **how):
    command = ["node", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=HERE, **how)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def evaluated(module, code):
    """What `code` gives, with the exports of one of the page's modules."""
    start = f"import * as page from {json.dumps((BROWSER / module).as_uri())};"
    return node("--input-type=module", "--eval", f"{start}console.log(JSON.stringify({code}))")


@needs_node
def test_whatever_a_patch_holds_is_read_or_refused(tmp_path):
    tensors = {"head/w": np.ones((3, 2), np.float32), "head/b": np.zeros(2, np.float32)}
    metadata = {input_file.KEY: json.dumps(ABOUT)}
    (tmp_path / "good").write_bytes(safetensors.numpy.save(tensors, metadata))
    found = node(HERE / "any_patch.mjs", tmp_path / "good", 20_000)
    assert found["wrong"] == []
    assert found["parsed"] > 500
    assert found["refused"] > 10_000


@needs_node
def test_a_patch_does_not_say_how_well_it_is_checked():
    """Nor is NaN a tolerance."""
    code = """[1e300, 2.1e-3, NaN, 2e-3, 0.04].map((tolerance, index) => {
      const logits = [0, index < 4 ? 0.5 : 20];
      try { return page.checkLogits(logits, logits, tolerance); }
      catch (error) { return error.message; }
    })"""
    *refused, most, larger = evaluated("parity.mjs", code)
    assert [said.partition(";")[2] for said in refused] == [" 0.002 is the most"] * 3
    assert (most, larger) == (0, 0)


@needs_node
def test_the_page_believes_what_a_trusted_key_vouches_for(tmp_path):
    maker = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    (tmp_path / "manifest.json").write_text("{}")
    line = signed_folder.sign_folder(tmp_path, maker).decode()
    key = maker.public_key().public_bytes_raw().hex()
    other = line.replace(key, "0" * 64)
    calls = [
        (line, [key], "manifest.json", "{}"),
        (line, ["0" * 64, key], "manifest.json", "{}"),
        (line, [key], "manifest.json", "{ }"),
        (line, [key], "toString", "{}"),
        (line, ["0" * 64], "manifest.json", "{}"),
        (other, ["0" * 64], "manifest.json", "{}"),
        (line.replace('"files"', '"filez"'), [key], "manifest.json", "{}"),
        (line[:-1], [key], "manifest.json", "{}"),
        ("", [key], "manifest.json", "{}"),
    ]
    code = f"""await Promise.all({json.dumps(calls)}.map(([line, keys, name, text]) =>
      page.isVouchedFor(line, keys, name, new TextEncoder().encode(text))
        .catch((error) => error.message)))"""
    good, among, *wrong = evaluated("signature.mjs", code)
    assert (good, among) == (True, True)
    said = ["not the file", "not the file", "unknown key", "not belong", "not belong"]
    said += ["no signature", "no signature"]
    assert [part in message for part, message in zip(said, wrong, strict=True)] == [True] * 7


@needs_node
def test_names_are_shown_as_python_shows_them():
    texts = [
        "cat",
        "gnp\u202eexe",
        "a\u200bb",
        "a\u200db",
        "\u0646\u200c\u0647",
        "\U000e0041x",
        "d\u00f6g",
    ]
    shown = evaluated("plain.mjs", f"{json.dumps(texts)}.map(page.plain)")
    assert shown == [names.plain(text) for text in texts]
    assert shown == [
        *("cat", "gnp\\u202eexe", "a\\u200bb", "a\\u200db"),
        *("\u0646\u200c\u0647", "\\U000e0041x", "d\u00f6g"),
    ]


SAYS = """async (given) => {
  const { answered } = await import(%s);
  const { viewOf } = await import(%s);
  return given.map(({ head, labels, predictions, picture, preprocessing }) => {
    for (const own of Object.values(predictions)) own.values = Float32Array.from(own.values);
    const said = answered(head, labels, predictions, viewOf(picture, preprocessing));
    return { ...said, mask: said.mask && [...said.mask] };
  });
}"""


@needs_node
def test_boxes_and_masks_are_those_of_python():
    drawn = np.random.default_rng(5)
    specs = {
        "ssdlite(threshold=0.3)": 3,
        "ssdlite(scores=sigmoid)": 3,
        "fpnlite": 2,
        "segmentation": 3,
        "classification": 4,
    }
    calls, wanted = [], []
    for spec, outputs in specs.items():
        head = from_spec(spec)
        labels = [f"label {number}" for number in range(outputs)]
        for fit in ("stretch", "crop", "pad"):
            anchors = placed([[(0.4, 0.3), (0.25, 0.25)]], [(6, 5)])
            columns = outputs + (spec == "ssdlite(threshold=0.3)")
            predictions = {
                "logits": drawn.normal(0, 2, (len(anchors), columns)).astype(np.float32),
                "offsets": drawn.normal(0, 3, anchors.shape).astype(np.float32),
                "anchors": anchors,
            }
            if head.kind == "segmentation":
                predictions = {"logits": drawn.normal(size=(4, 5, 3)).astype(np.float32)}
            elif head.kind == "classification":
                predictions = {"logits": drawn.normal(size=4).astype(np.float32)}
            preprocessing = Preprocessing(32, (0.0,) * 3, (1.0,) * 3, fit)
            view = view_of(37, 23, preprocessing)
            wanted.append((head, labels, predictions, view))
            calls.append(
                {
                    "head": {"kind": head.kind, "settings": dict(head.settings)},
                    "labels": labels,
                    "predictions": {
                        name: {"shape": own.shape, "values": own.ravel().tolist()}
                        for name, own in predictions.items()
                    },
                    "picture": {"width": 37, "height": 23},
                    "preprocessing": preprocessing.to_json(),
                }
            )
    modules = [json.dumps((BROWSER / name).as_uri()) for name in ("answers.mjs", "view.mjs")]
    found = node(
        *("--input-type=module", "--eval"),
        f"console.log(JSON.stringify(await ({SAYS % tuple(modules)})({json.dumps(calls)})))",
    )
    for said, (head, labels, predictions, view) in zip(found, wanted, strict=True):
        listed = head.listed(labels, predictions, view)
        shares = [one.get("score", one.get("share", one.get("probability"))) for one in listed]
        assert [one["label"] for one in said["rows"]] == [one["label"] for one in listed]
        assert len(listed) > 2
        np.testing.assert_allclose([one["share"] for one in said["rows"]], shares, atol=1e-6)
        if "boxes" in said:
            corners = np.array([one["box"] for one in said["boxes"]])
            corners[:, 2:] -= corners[:, :2]
            np.testing.assert_allclose(corners, [one["bbox"] for one in listed], atol=0.011)
        if head.mask is not None:
            mask = np.reshape(said["mask"], (23, 37))
            np.testing.assert_array_equal(mask, head.mask(labels, predictions, view))


@needs_node
def test_what_a_patch_states_of_maps_is_what_python_states():
    drawn = np.random.default_rng(6)
    maps = {name: drawn.normal(size=(40, 30)).astype(np.float32) for name in ("logits", "anchors")}
    few = {"logits": np.float32([1.5, -2.25])}
    for predictions in (maps, few):
        told = {
            name: {"shape": own.shape, "values": own.ravel().tolist()}
            for name, own in predictions.items()
        }
        found = evaluated("parity.mjs", f"await page.statedValues({json.dumps(told)}, 12345)")
        np.testing.assert_array_equal(np.float32(found), parity.values(predictions, 12345))


@needs_node
def test_labels_have_the_colours_that_python_gives_them():
    found = evaluated("colours.mjs", "Array.from({ length: 11 }, (_, one) => page.colourOf(one))")
    assert found == [list(COLOURS[number % len(COLOURS)]) for number in range(11)]


def test_a_page_that_is_opened_as_a_file_says_why_it_does_not_start():
    """Its modules are not loaded then; what says so is in the page, and allowed by its sum."""
    text = (BROWSER / "index.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r"script-src ([^;]*)", text)
    assert f"'sha256-{digest}'" in policy
    if shutil.which("node") is None:
        pytest.skip("needs node")
    stand_ins = """const said = { textContent: "" };
      const document = { getElementById: (id) => (id === "refused" ? said : null) };"""
    for protocol, starts in (("file:", True), ("https:", False)):
        location = f"const location = {{ protocol: {json.dumps(protocol)} }};"
        told = node("--eval", f"{stand_ins}{location}{script}console.log(JSON.stringify(said))")
        assert ("from a file" in told["textContent"]) is starts


def test_no_package_runs_scripts_when_it_is_installed():
    folders = [path.parent for path in (imports.ROOT / "javascript").rglob("package-lock.json")]
    own = [folder for folder in folders if "node_modules" not in folder.parts]
    assert len(own) == 2
    for folder in own:
        assert "ignore-scripts=true" in (folder / ".npmrc").read_text().splitlines()
