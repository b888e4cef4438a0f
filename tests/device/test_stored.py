"""A device with a store: what answers after which change, at the next start, and why not."""

import dataclasses
import errno
import hashlib
import json
import os
import subprocess
import sys
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters import files
from adapters.errors import UnknownNameError
from adapters.runtime import signatures
from adapters.runtime.device import Device
from adapters.runtime.engine import LiteRTError
from adapters.runtime.feeds import UnsupportedPatchError
from adapters.runtime.stored import StoredDevice
from adapters.store import errors, signature
from adapters.store.installed import NotInstalledError
from adapters.store.release import Release
from adapters.store.trust import TrustedKey
from tests import imports
from tests.device import exported
from tests.patches.table import PLAIN

MAKER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TRUSTED = {MAKER.public_key().public_bytes_raw(): TrustedKey("maker.pub")}
IMAGE = exported.png(1)


@pytest.fixture
def start(backbone, tmp_path):
    """A device as a new process would open it."""
    return lambda trusted=TRUSTED, **how: StoredDevice(
        backbone, tmp_path / "store", trusted=trusted, unsigned_graph=True, **how
    )


@pytest.fixture
def answer(backbone, tmp_path):
    """What a device without a store answers with a patch that was just made."""

    def call(made):
        folder = tmp_path / "alone"
        folder.mkdir(exist_ok=True)
        device = Device(backbone)
        device.install(exported.patch_file(folder, made))
        return device.run(made.task, IMAGE)

    return call


def patch(seed=2, version="1.0.0", **changes):
    return exported.contents("one", seed=seed, task_version=version, **changes)


def signed(folder, made, key=MAKER):
    """The patch's file, with a signature beside it unless `key` is None."""
    folder = folder / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    path = exported.patch_file(folder, made)
    beside = signature.signature_path(path)
    beside.unlink(missing_ok=True)
    if key is not None:
        beside.write_bytes(signature.sign(path.read_bytes(), key))
    return path


def file_of(folder, made):
    """Where the store keeps a patch."""
    digest = hashlib.sha256(signed(folder, made).read_bytes()).hexdigest()
    return folder / "store" / "patches" / made.task / f"{digest}.patch"


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_what_was_installed_answers_at_the_next_start(start, answer, tmp_path):
    first, second = patch(2), patch(5, "1.1.0")
    assert answer(first) != answer(second)
    device = start()
    assert device.tasks() == ()
    for made in (first, second):
        assert device.install(signed(tmp_path, made)) == "one"
        for opened in (device, start()):
            assert opened.run("one", IMAGE) == answer(made)
            assert opened.refused == {}
    device.roll_back("one")
    for opened in (device, start()):
        assert opened.run("one", IMAGE) == answer(first)
    device.remove("one")
    for opened in (device, start()):
        assert opened.tasks() == ()
    with pytest.raises(NotInstalledError):
        device.remove("one")


@pytest.mark.parametrize(
    ("key", "error"), [(None, errors.UnsignedError), (STRANGER, errors.UntrustedKeyError)]
)
def test_who_is_not_trusted_changes_nothing(start, answer, tmp_path, key, error):
    device, old = start(), patch()
    device.install(signed(tmp_path, old))
    with pytest.raises(error, match=r"incoming/one\.patch"):
        device.install(signed(tmp_path, patch(5, "2.0.0"), key))
    for opened in (device, start()):
        assert opened.run("one", IMAGE) == answer(old)


def test_keys_count_at_every_start(start, tmp_path):
    start(trusted=None).install(signed(tmp_path, patch(), STRANGER))
    device = start()
    with pytest.raises(UnknownNameError):
        device.run("one", IMAGE)
    assert [type(refusal) for refusal in device.refused["one"]] == [errors.UntrustedKeyError]


def test_an_older_version_is_refused_also_at_the_next_start(start, answer, tmp_path):
    new = patch(5, "1.10.0")
    start().install(signed(tmp_path, new))
    device = start()
    with pytest.raises(errors.OlderVersionError, match=r"1\.9\.0, 1\.10\.0 was installed"):
        device.install(signed(tmp_path, patch(2, "1.9.0")))
    assert device.run("one", IMAGE) == answer(new)


def test_a_damaged_patch_falls_back_and_then_to_none(start, answer, tmp_path):
    old, new = patch(2), patch(5)
    for made in (old, new):
        start().install(signed(tmp_path, made))
    damage(file_of(tmp_path, new))
    device = start()
    assert device.run("one", IMAGE) == answer(old)
    (refusal,) = device.refused["one"]
    assert isinstance(refusal, errors.DigestError)
    assert str(file_of(tmp_path, new)) in str(refusal)
    damage(file_of(tmp_path, old))
    device.reload()
    for opened in (device, start()):
        assert opened.tasks() == ()
        assert len(opened.refused["one"]) == 2
    device.install(signed(tmp_path, new))
    assert device.run("one", IMAGE) == answer(new)
    assert device.refused == {}


def test_a_patch_that_this_graph_answers_otherwise_is_not_stored(start, answer, tmp_path):
    device, old = start(), patch()
    device.install(signed(tmp_path, old))
    logits = tuple(logit + 0.01 for logit in old.parity.logits)
    lying = dataclasses.replace(old, parity=dataclasses.replace(old.parity, logits=logits))
    with pytest.raises(errors.ParityError, match=r"one\.patch: logits differ"):
        device.install(signed(tmp_path, lying))
    delta = exported.contents("one", next(e for e in PLAIN if e.name.startswith("delta")))
    with pytest.raises(UnsupportedPatchError, match="does not take as an input"):
        device.install(signed(tmp_path, delta), "inputs")
    for opened in (device, start()):
        assert opened.run("one", IMAGE) == answer(old)
    device.install(signed(tmp_path, delta))
    assert start().run("one", IMAGE) == device.run("one", IMAGE) == answer(delta)


def test_reloading_takes_what_others_did(start, answer, tmp_path):
    device, other = start(), start()
    made = patch()
    other.install(signed(tmp_path, made))
    assert device.tasks() == ()
    device.reload()
    assert device.run("one", IMAGE) == answer(made)
    other.remove("one")
    assert device.run("one", IMAGE) == answer(made)
    device.reload()
    assert device.tasks() == ()


def test_patches_are_folded_at_every_start_of_a_device_that_folds(start, answer, tmp_path):
    made, other = patch(), patch(5, "1.1.0")
    start().install(signed(tmp_path, made))
    device = start(how="folded")
    assert device._tasks["one"].kind == signatures.FOLDED
    device.install(signed(tmp_path, other))
    assert device._tasks["one"].kind == signatures.FOLDED
    device.roll_back("one")
    device.reload()
    assert device._tasks["one"].kind == signatures.FOLDED
    device.install(signed(tmp_path, other), "inputs")
    assert device._tasks["one"].kind == signatures.NORMS
    assert device.run("one", IMAGE).label == answer(other).label
    with pytest.raises(UnknownNameError, match="Did you mean 'folded'"):
        start(how="fold")


def test_one_task_s_failure_is_no_other_s(start, answer, tmp_path, monkeypatch):
    good, bad = patch(), exported.contents("two", seed=5)
    for made in (good, bad):
        start().install(signed(tmp_path, made))
    take = Device.install_contents

    def failing(device, contents, how="auto"):
        if contents.task == "two":
            raise LiteRTError("no memory")
        take(device, contents, how)

    device = start()
    monkeypatch.setattr(Device, "install_contents", failing)
    for opened in (device, start()):
        opened.reload()
        assert opened.run("one", IMAGE) == answer(good)
        assert opened.tasks() == ("one",)
        assert [str(error) for error in opened.refused["two"]] == ["no memory"]


def test_threads_get_one_patch_s_answers_while_others_install_and_reload(start, answer, tmp_path):
    patches = patch(2), patch(5), exported.contents("two", seed=3)
    answers = {made.task: [] for made in patches}
    for made in patches:
        answers[made.task].append(answer(made))
    paths = [signed(tmp_path / str(i), made) for i, made in enumerate(patches)]
    device = start()
    device.install(paths[0])
    device.install(paths[2])
    seen, done = [], threading.Event()

    def work(task):
        try:
            while not done.is_set():
                seen.append((task, device.run(task, IMAGE)))
        except Exception as error:
            seen.append((task, error))

    threads = [threading.Thread(target=work, args=(task,)) for task in ("one", "two", "one")]
    for thread in threads:
        thread.start()
    for turn in range(6):
        device.install(paths[1 - turn % 2])
        device.reload()
    done.set()
    for thread in threads:
        thread.join()
    assert {task for task, _ in seen} == {"one", "two"}
    assert all(found in answers[task] for task, found in seen)
    assert all(("one", wanted) in seen for wanted in answers["one"])


def test_what_the_disk_does_not_confirm_answers_here_as_at_the_next_start(
    start, answer, tmp_path, monkeypatch
):
    device, old, new = start(), patch(2), patch(5)
    device.install(signed(tmp_path, old))
    path = signed(tmp_path, new)
    real = files.sync_directory

    def broken(folder):
        if folder.name == "state":  # after the rename that makes the new patch current
            raise OSError(errno.EIO, "broken")
        real(folder)

    with monkeypatch.context() as disk:
        disk.setattr(files, "sync_directory", broken)
        with pytest.raises(files.NotDurableError):
            device.install(path)
    for opened in (device, start()):
        assert opened.run("one", IMAGE) == answer(new)


def test_a_patch_that_expired_answers_still_and_says_so(start, tmp_path, answer):
    made = patch()
    path = signed(tmp_path, made)
    line = signature.sign(path.read_bytes(), MAKER, Release(7, expires=100))
    signature.signature_path(path).write_bytes(line)
    device = start(clock=lambda: 100)
    device.install(path)
    assert device.expired == {}
    later = start(clock=lambda: 101)
    assert list(later.expired) == ["one"]
    assert not later.refused
    assert later.run("one", IMAGE) == answer(made)
    with pytest.raises(errors.ExpiredError):
        later.install(path)
    later.remove("one")
    assert later.expired == {}


def test_it_runs_where_jax_cannot_be_imported(backbone, tmp_path, answer):
    made = patch()
    path = signed(tmp_path, made)
    script = f"""
import json, sys
for name in ("jax", "jaxlib", "haiku", "tensorflow", "optax"):
    sys.modules[name] = None  # importing it fails from here on
from adapters.runtime.stored import StoredDevice
from adapters.store.trust import TrustedKey
trusted = {{bytes.fromhex({next(iter(TRUSTED)).hex()!r}): TrustedKey("maker.pub")}}
where = {str(backbone)!r}, {str(tmp_path / "store")!r}
device = StoredDevice(*where, trusted=trusted, unsigned_graph=True)
device.install({str(path)!r})
print(json.dumps(device.run("one", bytes.fromhex({IMAGE.hex()!r}))))
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "PYTHONPATH": str(imports.ROOT)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0] == answer(made).label
