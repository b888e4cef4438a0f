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
from adapters.runtime import input_file
from adapters.store import signed_folder
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
