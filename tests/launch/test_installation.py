"""`launch/sign`, `launch/verify` and `launch/install`: from a patch to one that answers."""

import dataclasses
import hashlib
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from adapters.backbones.checkpoint import read_checkpoint, write_checkpoint
from adapters.experiment import backbones
from adapters.experiment.installation import named_backbone, open_store
from adapters.inference.compiled import inference, parity_vector
from adapters.inference.self_test import self_test
from adapters.preprocessing import Preprocessing
from adapters.runtime.preprocessing_check import LARGEST_SIZE
from adapters.store import errors
from adapters.store.contents import PatchContents
from adapters.store.installed import Checks, Store
from adapters.store.keys import new_key, read_private_key
from adapters.store.release import Release
from adapters.store.signature import sign, signature_path
from adapters.store.store_backbone import StoreBackbone
from adapters.store.trust import TrustedKey
from adapters.store.write import write_patch
from tests import commands, narrow
from tests.launch import small

PIXELS = Preprocessing(narrow.SIZE, *narrow.PIXELS)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return small.write_backbone(tmp_path_factory.mktemp("weights") / "narrow.safetensors")


@pytest.fixture(scope="module")
def loaded(weights):
    return backbones.load("narrow", str(weights))


@pytest.fixture(scope="module")
def contents(loaded):
    """A patch of the narrow backbone that moves its first norm."""
    scale = np.float32(loaded.weights["stem/norm"]["scale"] * 1.25)
    edits = {"replace": {"stem/norm": {"scale": scale}}}
    generator = np.random.default_rng(0)
    head = {"w": generator.normal(size=(16, 2)).astype(np.float32), "b": np.zeros(2, np.float32)}
    network = inference(loaded.network, 1, narrow.SIZE)
    return PatchContents(
        task="squares",
        task_version="1.0.0",
        patch="scale_bias",
        backbone="narrow",
        fingerprint=loaded.fingerprint,
        norm="frozen",
        labels=("a", "b"),
        metric="top1",
        scores={"validation": 0.5},
        preprocessing=PIXELS.to_json(),
        parity=parity_vector(network, loaded.weights, edits, head, PIXELS.to_json()),
        edits=edits,
        head=head,
    )


@pytest.fixture
def patch(tmp_path, contents):
    path = tmp_path / "squares.patch"
    write_patch(path, contents)
    return path


def ran(verb, *arguments):
    return commands.run(f"launch.{verb}", *arguments)


def said(verb, *arguments):
    ended = ran(verb, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def refused(verb, *arguments, status=2):
    ended = ran(verb, *arguments)
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.fixture
def narrow_install():
    """`launch/install` with the narrow backbone known: what it says."""

    def call(*arguments, status=0):
        ended = commands.run("tests.launch.small_install", *arguments)
        assert ended.returncode == status, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stderr if status else ended.stdout

    return call


def test_from_a_new_key_to_an_active_patch(tmp_path, patch, weights, contents, narrow_install):
    maker, store = tmp_path / "keys" / "maker", tmp_path / "device"
    trusted = f"--trusted={maker}.pub"
    flags = [f"--store={store}", f"--weights={weights}", trusted]
    assert f"{maker}.pub goes to whoever checks them" in said("sign", f"--new_key={maker}")
    before = maker.read_bytes()
    assert "never overwritten" in refused("sign", f"--new_key={maker}")
    assert maker.read_bytes() == before

    assert "no signature" in narrow_install(patch, *flags, status=2)
    assert not store.exists()
    signed = said("sign", patch, f"--key={maker}", "--release=7", "--valid_days=9999")
    assert signed == f"{patch}.sig is written: release 7.\n"
    told = said("verify", patch, trusted)
    assert f"task squares 1.0.0, release 7, signed with {maker}.pub" in told
    assert "squares 1.0.0 is active" in narrow_install(patch, *flags)
    digest = hashlib.sha256(patch.read_bytes()).hexdigest()
    installed = store / "patches" / "squares" / f"{digest}.patch"
    assert installed.read_bytes() == patch.read_bytes()

    write_patch(patch, dataclasses.replace(contents, task_version="1.1.0"))
    assert "does not belong to these bytes" in refused("verify", patch, trusted)
    release = Release(8)
    signature_path(patch).write_bytes(sign(patch.read_bytes(), read_private_key(maker), release))
    assert "squares 1.1.0 is active" in narrow_install(patch, *flags)
    rolled = narrow_install("--roll_back=squares", *flags)
    assert "squares 1.0.0 is active" in rolled
    assert narrow_install("--remove=squares", *flags) == f"squares is removed from {store}.\n"
    assert not installed.exists()


def test_a_store_stays_with_the_backbone_of_its_first_patch(
    tmp_path, patch, weights, contents, narrow_install
):
    """Whatever a later patch says, and whatever --weights are given later."""
    store = tmp_path / "device"
    narrow_install(patch, f"--store={store}", f"--weights={weights}")
    write_patch(patch, dataclasses.replace(contents, backbone="mobilenet_v2"))
    assert "squares 1.0.0 is active" in narrow_install(
        patch, f"--store={store}", f"--weights={weights}"
    )
    others = tmp_path / "others.safetensors"
    checkpoint = read_checkpoint(weights)
    moved = jax.tree.map(lambda leaf: leaf * np.float32(0.5), dict(checkpoint.weights))
    write_checkpoint(others, dataclasses.replace(checkpoint, weights=moved))
    for change in (patch, "--roll_back=squares"):
        told = narrow_install(change, f"--store={store}", f"--weights={others}", status=2)
        assert f"the patches in {store} are for narrow {contents.fingerprint[:12]}, not for" in told


@pytest.mark.parametrize(
    ("verb", "arguments", "status", "message"),
    [
        ("sign", ["{patch}", "--key={public}"], 2, "holds no private key"),
        ("sign", ["{cut}", "--key={private}"], 2, "cut.patch: the tensors need"),
        ("sign", ["{patch}"], 1, "give patch files and --key"),
        ("verify", ["{patch}", "--trusted={private}"], 2, "is a private key"),
        ("verify", ["{patch}"], 1, "the keys to trust"),
        ("install", ["{patch}", "--store={folder}", "--trusted="], 2, "no public key to trust"),
        ("install", ["{cut}", "--store={folder}"], 2, "cut.patch: the tensors need"),
        ("install", ["--store={folder}", "--roll_back=squares"], 2, "does not say which backbone"),
    ],
)
def test_bad_input_is_said_and_changes_nothing(tmp_path, patch, verb, arguments, status, message):
    private = tmp_path / "maker"
    public = new_key(private)
    cut = tmp_path / "cut.patch"
    cut.write_bytes(patch.read_bytes()[:-1])
    names = {
        "folder": tmp_path / "device",
        "patch": patch,
        "private": private,
        "public": public,
        "cut": cut,
    }
    before = sorted(tmp_path.iterdir())
    given = [argument.format(**names) for argument in arguments]
    assert message in refused(verb, *given, status=status)
    assert sorted(tmp_path.iterdir()) == before


def test_one_process_may_import_both_that_check_signatures():
    command = [sys.executable, "-P", "-c", "import launch.install, launch.verify"]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.getcwd()}, timeout=90)
    assert ended.returncode == 0


def test_a_store_believes_no_patch_before_it_is_verified(patch):
    assert named_backbone(str(patch), None) == "narrow"
    patch.write_bytes(patch.read_bytes() + b"junk")
    with pytest.raises(errors.HeaderError):
        named_backbone(str(patch), None)
    with pytest.raises(errors.UnsignedError, match=str(patch)):
        named_backbone(str(patch), {bytes(32): TrustedKey("maker.pub")})


@pytest.fixture(scope="module")
def store(tmp_path_factory, weights):
    return open_store(str(tmp_path_factory.mktemp("device")), "narrow", str(weights), None)


def other_pixels(contents):
    moved = dataclasses.replace(PIXELS, mean=(127.5, 127.5, 0.0))
    return dataclasses.replace(contents, preprocessing=moved.to_json())


def other_size(contents):
    moved = dataclasses.replace(PIXELS, size=48)
    return dataclasses.replace(contents, preprocessing=moved.to_json())


def other_fit(contents):
    moved = dataclasses.replace(PIXELS, fit="crop")
    return dataclasses.replace(contents, preprocessing=moved.to_json())


def no_preprocessing(contents):
    return dataclasses.replace(contents, preprocessing={"size": 32})


def huge(contents):
    size = LARGEST_SIZE + 1
    stated = dataclasses.replace(contents.parity, shape=(size, size, 3))
    moved = dataclasses.replace(PIXELS, size=size)
    return dataclasses.replace(contents, preprocessing=moved.to_json(), parity=stated)


def swapped_head(contents):
    head = {"w": contents.head["w"][:, ::-1].copy(), "b": contents.head["b"]}
    return dataclasses.replace(contents, head=head)


def other_edit(contents):
    scale = contents.edits["replace"]["stem/norm"]["scale"]
    return dataclasses.replace(contents, edits={"replace": {"stem/norm": {"scale": 2 * scale}}})


def other_backbone(contents):
    return dataclasses.replace(contents, fingerprint="0" * 64)


def wider(contents):
    head = {"w": np.ones((17, 2), np.float32), "b": contents.head["b"]}
    return dataclasses.replace(contents, head=head)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (other_pixels, errors.PreprocessingMismatchError, "the backbone was trained with"),
        (other_size, errors.PreprocessingMismatchError, "48 x 48 x 3, but .* has 32 x 32 x 3"),
        (other_fit, errors.PreprocessingMismatchError, "another preprocessing .* fit 'crop'"),
        (no_preprocessing, errors.PreprocessingMismatchError, "holds the fields"),
        (huge, errors.PreprocessingMismatchError, "at most 1024"),
        (swapped_head, errors.ParityError, "logits differ"),
        (other_edit, errors.ParityError, "logits differ"),
        (other_backbone, errors.FingerprintError, "for narrow 000000000000"),
        (wider, errors.ShapeMismatchError, "takes 17 features, the backbone gives 16"),
    ],
)
def test_a_whole_file_that_does_not_serve_here(patch, contents, store, change, error, message):
    """Each is a patch that reads well and has the right digest."""
    write_patch(patch, change(contents))
    with pytest.raises(error, match=message) as refusal:
        store.install(patch)
    assert type(refusal.value) is error
    assert store.active("squares").contents is None


def test_a_patch_is_tested_again_before_it_answers(tmp_path, patch, contents, weights):
    """On a machine that computes otherwise, the installed patch does not answer."""
    root = str(tmp_path / "device")
    open_store(root, "narrow", str(weights), None).install(patch)
    again = open_store(root, "narrow", str(weights), None)
    found = again.active("squares").contents
    np.testing.assert_array_equal(found.head["w"], contents.head["w"])
    loaded = backbones.load("narrow", str(weights))
    drifted = {path: dict(leaves) for path, leaves in loaded.weights.items()}
    drifted["tail"]["w"] = drifted["tail"]["w"] * np.float32(1.5)
    pixels = loaded.checkpoint.mean, loaded.checkpoint.std
    test = self_test(loaded.network, drifted, *pixels)
    checks = Checks(loaded.shapes, 16, StoreBackbone("narrow", loaded.fingerprint), test)
    (refusal,) = Store(root, checks, trusted=None).active("squares").refused
    assert isinstance(refusal, errors.ParityError)
