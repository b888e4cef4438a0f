"""`launch/page`: what it writes, what it refuses, and that it needs no other address."""

import hashlib
import importlib.util
import json
import re

import numpy as np
import pytest
import safetensors.numpy

from adapters.backbones import registry
from adapters.experiment import page_folder
from adapters.experiment.output import OutputFileError
from adapters.export.onnx.session import Session
from adapters.heads.filling import emptied
from adapters.heads.registry import OtherHeadError
from adapters.runtime import signatures
from adapters.store import parity
from adapters.store.trust import TrustedKey
from tests import commands, imports, narrow
from tests.device import exported, mapped
from tests.launch import small
from tests.patches.table import PLAIN

SOURCE = imports.ROOT / "javascript" / "browser"


@pytest.fixture(scope="module", autouse=True)
def _onnx():
    missing = [name for name in ("onnx", "onnxruntime") if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch):
    """The page's own files, beside a runtime of no use."""
    monkeypatch.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)
    folder = tmp_path / "checkout" / "javascript" / "browser"
    runtime = folder / "node_modules" / "onnxruntime-web" / "dist"
    runtime.mkdir(parents=True)
    for path in (*SOURCE.glob("*.html"), *SOURCE.glob("*.mjs")):
        (folder / path.name).write_bytes(path.read_bytes())
    for name in page_folder.RUNTIME_FILES:
        (runtime / name).write_text(name)
    monkeypatch.setattr(page_folder, "SOURCE", folder)
    return folder


@pytest.fixture
def weights(tmp_path):
    return str(small.write_backbone(tmp_path / "narrow.safetensors"))


def patch(folder, *arguments, **changes):
    return str(exported.patch_file(folder, exported.contents(*arguments, **changes)))


def test_a_page_is_replaced_when_that_is_asked_for_and_nothing_else_is(tmp_path):
    page, other = tmp_path / "site", tmp_path / "photographs"
    for folder, names in ((page, ("index.html", "manifest.json", "backbone.onnx")), (other, ["a"])):
        folder.mkdir()
        for name in names:
            (folder / name).write_text("")
    assert page_folder.place(tmp_path / "new", False) == tmp_path / "new"
    assert page_folder.place(page, True) == page
    with pytest.raises(OutputFileError, match="holds a page already: overwrite it") as refused:
        page_folder.place(page, False)
    assert refused.value.settings == ("overwrite", "directory")
    with pytest.raises(OutputFileError, match="photographs exists already: move it"):
        page_folder.place(other, True)


def entry(name):
    return next(entry for entry in PLAIN if entry.name.startswith(name))


def test_a_head_of_another_kind_is_refused(weights, tmp_path):
    path = patch(tmp_path, "one", classes=3, head_kind="multilabel", head_settings={})
    with pytest.raises(OtherHeadError, match="the patch for one predicts multilabel; a page shows"):
        page_folder.write_page([path], weights, tmp_path / "site")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(("family", "kind"), [("scale_bias", "norms"), ("depthwise", "depthwise")])
def test_a_page_holds_what_its_manifest_says(weights, tmp_path, family, kind):
    made = [
        exported.contents("one", classes=3),
        exported.contents("a b#", entry(family), classes=5),
    ]
    patches = [str(exported.patch_file(tmp_path, contents)) for contents in made]
    out = tmp_path / "site"
    said = page_folder.write_page(patches, weights, out)
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["backbone"]["name"], manifest["backbone"]["size"]) == ("narrow", narrow.SIZE)
    assert manifest["backbone"]["fingerprint"] == made[0].fingerprint
    assert [each["task"] for each in manifest["patches"]] == ["one", "a b#"]
    addresses = ["patches/one.safetensors", "patches/a%20b%23.safetensors"]
    assert [each["file"] for each in manifest["patches"]] == addresses
    names = ["backbone.onnx", "patches/one.safetensors", "patches/a b#.safetensors"]
    for each, name in zip((manifest["backbone"], *manifest["patches"]), names, strict=True):
        content = (out / name).read_bytes()
        assert each["sha256"] == hashlib.sha256(content).hexdigest()
        assert each["bytes"] == len(content)
        assert f"{out / name}: " in said
        assert f"{len(content):,} bytes" in said
    assert manifest["runtime"]["bytes"] == sum(map(len, page_folder.RUNTIME_FILES))
    session = Session((out / "backbone.onnx").read_bytes(), 1)
    assert session.about["inputs"] == kind
    for contents, name in zip(made, names[1:], strict=True):
        given = safetensors.numpy.load_file(out / name)
        stated = contents.parity
        image = parity.seeded_image(stated.seed, stated.shape)[None]
        got = session.run({**given, signatures.IMAGES: image})
        np.testing.assert_allclose(got[0], stated.logits, atol=1e-4)
        with safetensors.safe_open(out / name, "numpy") as file:
            about = json.loads(file.metadata()["modelpatch"])
        assert about["parity"]["logits"] == list(stated.logits)
        assert about["labels"] == list(contents.labels)


def test_a_page_of_detectors_has_room_for_the_widest(weights, tmp_path):
    made = [mapped.patch("square"), mapped.patch("squares")]
    patches = [str(exported.patch_file(tmp_path, contents)) for contents in made]
    out = tmp_path / "site"
    page_folder.write_page(patches, weights, out)
    backbone = json.loads((out / "manifest.json").read_text())["backbone"]
    assert (backbone["head"], backbone["outputs"]) == ("ssdlite", 2)
    session = Session((out / "backbone.onnx").read_bytes(), 1)
    for contents in made:
        given = safetensors.numpy.load_file(out / "patches" / f"{contents.task}.safetensors")
        stated = contents.parity
        image = parity.seeded_image(stated.seed, stated.shape)[None]
        got = session.predictions({**given, signatures.IMAGES: image})
        assert got["logits"].shape[-1] == 3
        one = {name: each[0] for name, each in got.items()}
        own = emptied(one, 2 - len(contents.labels))
        np.testing.assert_allclose(parity.values(own, stated.seed), stated.logits, atol=1e-4)


def test_a_page_holds_its_modules_and_the_runtime(weights, tmp_path):
    out = tmp_path / "site"
    trusted = {bytes(range(32)): TrustedKey("a"), bytes(32): TrustedKey("b")}
    page_folder.write_page([patch(tmp_path, "one")], weights, out, trusted)
    files = {str(path.relative_to(out)) for path in out.rglob("*.*")}
    own = {path.name for path in (*SOURCE.glob("*.html"), *SOURCE.glob("*.mjs"))}
    runtime = {f"onnxruntime-web/{name}" for name in page_folder.RUNTIME_FILES}
    made = {"manifest.json", "backbone.onnx", "patches/one.safetensors"}
    assert files == own | runtime | made
    for path in out.glob("*.mjs"):
        for module in re.findall(r'from "\./(.+)"', path.read_text()):
            assert module in files
    text = (out / "index.html").read_text()
    assert 'src="page.mjs"' in text
    assert f'<meta name="trusted" content="{bytes(32).hex()} {bytes(range(32)).hex()}" />' in text


def test_the_page_asks_no_other_address_and_pins_what_it_runs():
    for path in (*SOURCE.glob("*.html"), *SOURCE.glob("*.mjs"), SOURCE / "package-lock.json"):
        assert "://" not in path.read_text(), path
    package = json.loads((SOURCE / "package.json").read_text())
    locked = json.loads((SOURCE / "package-lock.json").read_text())["packages"]
    for name, version in (package["dependencies"] | package["devDependencies"]).items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all(each["integrity"].startswith("sha512-") for key, each in locked.items() if key)


def refused(paths, weights, out, words):
    with pytest.raises(page_folder.PageError) as caught:
        page_folder.write_page(paths, weights, out)
    for word in words:
        assert word in str(caught.value)
    assert not out.exists()


def test_patches_that_do_not_go_together_are_refused(weights, tmp_path):
    out, one = tmp_path / "site", patch(tmp_path, "one")
    (tmp_path / "again").mkdir()
    again = patch(tmp_path / "again", "one")
    refused([one, again], weights, out, [one, again, "both for one"])
    other = patch(tmp_path, "two", backbone="wide")
    refused([one, other], weights, out, [other, "for wide at 32", one, "for narrow at 32"])
    lights = str(exported.patch_file(tmp_path, mapped.patch("lights")))
    squares = str(exported.patch_file(tmp_path, mapped.patch("squares")))
    refused([squares, lights], weights, out, [lights, "at 48 pixels with the head segmentation(l"])
    adapter = patch(tmp_path, "three", entry("conv_adapter"))
    refused([one, adapter], weights, out, [adapter, "leave it out"])


def test_a_missing_runtime_is_said_before_anything_is_read(source, weights, tmp_path):
    (source / "node_modules" / "onnxruntime-web" / "dist" / page_folder.RUNTIME_FILES[1]).unlink()
    words = ["ort-wasm-simd-threaded.wasm", "install the packages of javascript/browser"]
    refused(["missing.patch"], weights, tmp_path / "site", words)


def test_outside_a_checkout_the_page_is_refused(monkeypatch, weights, tmp_path):
    monkeypatch.setattr(page_folder, "SOURCE", tmp_path / "nowhere")
    refused(["missing.patch"], weights, tmp_path / "site", ["in a checkout"])


@pytest.mark.parametrize("arguments", [[], ["--out=site"], ["x.patch"]])
def test_what_is_missing_is_said(arguments):
    ended = commands.run("launch.page", *arguments)
    assert ended.returncode == 1
    assert "launch/page out/*.patch --out=site" in ended.stdout + ended.stderr
