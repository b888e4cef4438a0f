"""`launch/serve --store`: what is served, what a `PUT` may install, what is said of the rest."""

import contextlib
import dataclasses
import errno
import http.client
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from absl import logging
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from adapters import files
from adapters.experiment import backbones, serving
from adapters.experiment.installation import open_store
from adapters.serving.access import AccessError
from adapters.serving.app import SIGNATURE
from adapters.serving.errors import SignedPatchError
from adapters.serving.network import FullError, UnservedPatchError
from adapters.store import errors
from adapters.store.installed import KeysNeededError, NotInstalledError
from adapters.store.signature import sign, signature_path
from adapters.store.trust import TrustedKey
from adapters.store.write import encode_patch
from tests import narrow
from tests.launch import small
from tests.serving import patches

MAKER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = MAKER.public_key().public_bytes_raw()
TRUSTED = {PUBLIC: TrustedKey("maker.pub")}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(small.write_backbone(tmp_path_factory.mktemp("weights") / "narrow.safetensors"))


@pytest.fixture(scope="module")
def fingerprint(weights):
    return backbones.load("narrow", weights).fingerprint


@pytest.fixture
def made(fingerprint):
    """Contents for the narrow backbone; each seed answers otherwise."""

    def call(task, seed, version="1.0.0", **changes):
        plain = patches.contents(task, seed, version=version, **changes)
        return dataclasses.replace(plain, fingerprint=fingerprint)

    return call


@pytest.fixture
def install(tmp_path, weights):
    """Installs as `launch/install` does, signed by `key`; the file in the store."""

    def call(contents, key=MAKER):
        path = tmp_path / "incoming" / f"{contents.task}.patch"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_patch(contents))
        signature_path(path).write_bytes(sign(path.read_bytes(), key))
        store = open_store(str(tmp_path / "store"), "narrow", weights, None)
        store.install(path)
        return store.active(contents.task).path

    return call


@pytest.fixture
def opened(tmp_path, weights):
    """What `launch/serve --store` would serve, and through what it changes."""

    def call(trusted=TRUSTED, sizes=(), capacity=4, tabled="norms", backbone=None):
        wanted = serving.Wanted(backbone, weights, sizes, capacity, (1,), tabled)
        return serving.from_store(str(tmp_path / "store"), trusted, wanted)

    return call


@pytest.fixture
def warned(monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    return said


def test_a_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    assert serving.changes_token(None) is None
    monkeypatch.setenv("MODELPATCH_CHANGES_TOKEN", "from the environment")
    (tmp_path / "token").write_text("from a file\n")
    (tmp_path / "token").chmod(0o600)
    assert serving.changes_token(None) == "from the environment"
    assert serving.changes_token(str(tmp_path / "token")) == "from a file"
    with pytest.raises(FileNotFoundError):
        serving.changes_token(str(tmp_path / "none"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_that_others_can_open_is_refused(tmp_path, mode):
    (tmp_path / "token").write_text("t" * 32)
    (tmp_path / "token").chmod(mode)
    with pytest.raises(AccessError, match=r"can be read by others.*chmod 600"):
        serving.changes_token(str(tmp_path / "token"))


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def labels(network):
    return {name: task.contents.task_version for name, task in network.tasks.items()}


def test_what_is_active_is_served_or_what_was_before(opened, install, made, warned):
    install(made("a", 1))
    new = install(made("a", 2, "2.0.0"))
    install(made("b", 3))
    install(made("c", 4), STRANGER)
    network, _ = opened()
    assert labels(network) == {"a": "2.0.0", "b": "1.0.0"}
    assert network.sizes == (narrow.SIZE,)
    (said,) = warned
    assert said.startswith("c is passed over: ")
    assert "unknown key" in said
    damage(new)
    network, _ = opened()
    assert labels(network) == {"a": "1.0.0", "b": "1.0.0"}
    assert "a is passed over: " in warned[1]
    assert str(new) in warned[1]


def test_changes_go_through_the_store(opened, install, made):
    install(made("a", 1))
    network, installer = opened()
    second = encode_patch(made("b", 2, "1.1.0"))
    with pytest.raises(errors.UnsignedError):
        installer.install("b", second, None)
    with pytest.raises(errors.UntrustedKeyError):
        installer.install("b", second, sign(second, STRANGER))
    with pytest.raises(errors.WrongTaskError, match="of the task 'b', not of 'a'"):
        installer.install("a", second, sign(second, MAKER))
    assert labels(network) == labels(opened()[0]) == {"a": "1.0.0"}
    installer.install("b", second, sign(second, MAKER))
    assert labels(network) == labels(opened()[0]) == {"a": "1.0.0", "b": "1.1.0"}
    older = encode_patch(made("b", 3, "1.0.9"))
    with pytest.raises(errors.OlderVersionError):
        installer.install("b", older, sign(older, MAKER))
    with pytest.raises(NotInstalledError):
        installer.remove("c")


def test_what_is_unsigned_takes_no_signed_patch_away(opened, install, made):
    install(made("a", 1))
    network, installer = opened(trusted=None)  # signatures are not checked, and yet
    plain = encode_patch(made("a", 2))
    for line in (None, b"no signature\n", sign(plain + b"x", MAKER)):
        with pytest.raises(errors.UnsignedError, match="the patch of a is signed"):
            installer.install("a", plain, line)
    with pytest.raises(SignedPatchError, match="the patch of a is signed"):
        installer.remove("a")
    assert labels(network) == labels(opened()[0]) == {"a": "1.0.0"}
    installer.install("b", encode_patch(made("b", 3)), None)
    installer.remove("b")
    assert labels(network) == {"a": "1.0.0"}


def test_what_the_disk_does_not_confirm_is_served_as_at_the_next_start(
    opened, install, made, monkeypatch
):
    install(made("a", 1))
    network, installer = opened()
    first, data = encode_patch(made("a", 1)), encode_patch(made("a", 2, "2.0.0"))
    installer.install("a", first, sign(first, MAKER))
    real = files.sync_directory

    def broken(folder):
        if folder.name == "state":  # after the rename that makes the new patch current
            raise OSError(errno.EIO, "broken")
        real(folder)

    with monkeypatch.context() as disk:
        disk.setattr(files, "sync_directory", broken)
        with pytest.raises(files.NotDurableError):
            installer.install("a", data, sign(data, MAKER))
    assert labels(network) == labels(opened()[0]) == {"a": "2.0.0"}


def test_what_this_server_cannot_serve_is_not_stored(opened, install, made):
    install(made("a", 1))
    network, installer = opened(capacity=1)
    for contents, error in (
        (made("b", 2), FullError),
        (made("a", 2, spec="depthwise"), UnservedPatchError),
        (made("a", 2, size=48), UnservedPatchError),
    ):
        data = encode_patch(contents)
        with pytest.raises(error):
            installer.install(contents.task, data, sign(data, MAKER))
    assert labels(network) == labels(opened(tabled="everything")[0]) == {"a": "1.0.0"}


def test_pixels_that_are_scaled_otherwise_are_refused(opened, install, made, warned):
    install(made("a", 1))
    _, installer = opened()
    contents = made("a", 2)
    other = {**contents.preprocessing, "mean": [0.0, 0.0, 0.0]}
    data = encode_patch(dataclasses.replace(contents, preprocessing=other))
    with pytest.raises(errors.PreprocessingMismatchError):
        installer.install("a", data, sign(data, MAKER))
    assert not warned


def test_a_store_that_says_too_little(opened, install, made):
    with pytest.raises(NotInstalledError, match="does not say which backbone"):
        opened()
    with pytest.raises(serving.NoSizeError, match="which size of image to compile: give one"):
        opened(backbone="narrow")
    _, installer = opened(backbone="narrow", sizes=[narrow.SIZE])
    data = encode_patch(made("a", 1))
    installer.install("a", data, sign(data, MAKER))
    assert labels(opened()[0]) == {"a": "1.0.0"}
    with pytest.raises(KeysNeededError):
        install(made("a", 2), STRANGER)
    with pytest.raises(errors.UntrustedKeyError):
        opened({STRANGER.public_key().public_bytes_raw(): TrustedKey("x")})


@contextlib.contextmanager
def served(*arguments):
    """`launch/serve` in a process of its own, which has ended after the block: its port."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.launch.small_serve", "--port=0", *arguments],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = []
        while not (found := re.search(r"running on http://127\.0\.0\.1:(\d+)", "".join(said))):
            said.append(process.stderr.readline())
            assert said[-1], "".join(said)
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate(timeout=30)


def ask(port, method, path, body, **headers):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as asked:
        asked.request(method, path, body, headers)
        response = asked.getresponse()
        return response.status, json.loads(response.read())


def png():
    pixels = np.random.default_rng(0).integers(0, 256, (narrow.SIZE, narrow.SIZE, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return pixels, file.getvalue()


def test_the_command_serves_a_store(tmp_path, install, made, weights):
    install(made("a", 1))
    (tmp_path / "maker.pub").write_bytes(PUBLIC)
    (tmp_path / "token").write_text(f"{'t' * 32}\n")
    (tmp_path / "token").chmod(0o600)
    flags = [f"--store={tmp_path / 'store'}", f"--trusted={tmp_path / 'maker.pub'}"]
    flags.append(f"--changes_token={tmp_path / 'token'}")
    new = made("a", 2, "2.0.0")
    data, (pixels, image) = encode_patch(new), png()
    with served(*flags, f"--weights={weights}", "--batches=1") as port:
        assert ask(port, "POST", "/tasks/a", image)[1]["version"] == "1.0.0"
        assert ask(port, "PUT", "/tasks/a", data)[0] == 401
        bearer = {"Authorization": f"Bearer {'t' * 32}"}
        status, refusal = ask(port, "PUT", "/tasks/a", data, **bearer)
        assert (status, refusal["error"]) == (422, "UnsignedError")
        line = sign(data, MAKER).decode().rstrip("\n")
        assert ask(port, "PUT", "/tasks/a", data, **bearer, **{SIGNATURE: line})[0] == 200
        status, found = ask(port, "POST", "/tasks/a", image)
    logits = patches.alone(new, np.asarray(narrow.normalised(pixels))[None])[0]
    assert found["version"] == "2.0.0"
    assert found["answers"][0]["label"] == new.labels[logits.argmax()]
    assert found["answers"][0]["logit"] == pytest.approx(logits.max(), abs=1e-4)
