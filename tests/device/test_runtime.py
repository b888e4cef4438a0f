"""A device: what it answers and refuses, in any order of calls and from many threads."""

import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from adapters.errors import UnknownNameError
from adapters.heads.contract import Answer, NoAnswerError
from adapters.preprocessing import UnreadableImageError
from adapters.runtime import engine, graph_file, signatures
from adapters.runtime.feeds import UnsupportedPatchError
from adapters.store import signed_folder
from adapters.store.errors import FingerprintError, ParityError
from tests import imports, narrow
from tests.device import exported


def test_a_network_that_overflows_does_not_answer(device, tmp_path):
    made = exported.contents("one")
    path = exported.patch_file(tmp_path, made)
    device.install(path)
    task = device._tasks["one"]
    broken = {**task.inputs, signatures.HEAD_B: np.full(exported.CLASSES, np.inf, np.float32)}
    device._tasks = {"one": task._replace(inputs=broken)}
    with pytest.raises(NoAnswerError, match="one: what is predicted of this image is not finite"):
        device.run("one", exported.png(1))


def test_a_task_gives_its_own_answer_whatever_ran_before(device, tmp_path):
    first, second = exported.contents("first"), exported.contents("second", seed=5, classes=5)
    for made in (first, second):
        device.install(exported.patch_file(tmp_path, made))
    assert device.tasks() == ("first", "second")
    for made in (first, second, first):
        exported.close(device.run(made.task, exported.png(3)), made, exported.png(3))


def test_installing_again_replaces(device, tmp_path):
    for seed in (2, 5):
        made = exported.contents("one", seed=seed)
        device.install(exported.patch_file(tmp_path, made))
        exported.close(device.run("one", exported.png(3)), made, exported.png(3))
    assert device.tasks() == ("one",)


def test_batches_answer_as_single_images(device, tmp_path):
    device.install(exported.patch_file(tmp_path, exported.contents("one")))
    images = [exported.png(seed) for seed in range(6)]  # a batch of four and two of one
    together = device.run_all("one", images)
    for image, answer in zip(images, together, strict=True):
        alone = device.run("one", image)
        assert answer.label == alone.label
        assert answer.probabilities == pytest.approx(alone.probabilities, abs=1e-5)


@pytest.mark.parametrize("how", ["inputs", "folded"])
def test_threads_get_their_own_task_s_answers(device, tmp_path, how):
    made = [exported.contents("first"), exported.contents("second", seed=5, classes=5)]
    images = [exported.png(seed) for seed in range(4)]
    expected = {}
    for one in made:
        device.install(exported.patch_file(tmp_path, one), how)
        expected[one.task] = [device.run(one.task, image) for image in images]
        exported.close(expected[one.task][0], one, images[0])
    wrong = []

    def work(task):
        for turn in range(100):
            index = turn % len(images)
            if device.run(task, images[index]) != expected[task][index]:
                wrong.append((task, turn))

    threads = [threading.Thread(target=work, args=(one.task,)) for one in made * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_task_that_is_being_replaced_answers_as_one_patch_or_the_other(device, tmp_path):
    paths, answers = [], []
    for seed in (2, 5):
        folder = tmp_path / str(seed)
        folder.mkdir()
        paths.append(exported.patch_file(folder, exported.contents("one", seed=seed)))
        device.install(paths[-1])
        answers.append(device.run("one", exported.png(1)))
    assert answers[0] != answers[1]
    seen, done = [], threading.Event()

    def work():
        while not done.is_set():
            seen.append(device.run("one", exported.png(1)))

    thread = threading.Thread(target=work)
    thread.start()
    for turn in range(20):
        device.install(paths[turn % 2])
    done.set()
    thread.join()
    assert seen
    assert all(answer in answers for answer in seen)


def test_a_wrong_patch_is_refused_and_the_old_one_stays(device, tmp_path):
    made = exported.contents("one")
    device.install(exported.patch_file(tmp_path, made))
    before = device.run("one", exported.png(1))
    other = tmp_path / "other"
    other.mkdir()
    logits = tuple(logit + 0.01 for logit in made.parity.logits)
    lying = dataclasses.replace(made, parity=dataclasses.replace(made.parity, logits=logits))
    with pytest.raises(ParityError, match=r"one.patch: logits differ"):
        device.install(exported.patch_file(other, lying))
    stranger = exported.contents("one", fingerprint="0" * 64)
    with pytest.raises(FingerprintError):
        device.install(exported.patch_file(other, stranger))
    assert device.run("one", exported.png(1)) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": 9}, "with room for 9"),
        (
            {"preprocessing": dataclasses.replace(exported.PREPROCESSING, size=48)},
            "one looks at images of 48 pixels, this graph at 32. Export it for size 48 too",
        ),
    ],
)
def test_what_the_graph_has_no_room_for_is_said(device, tmp_path, changes, said):
    with pytest.raises(UnsupportedPatchError, match=said):
        device.install(exported.patch_file(tmp_path, exported.contents("one", **changes)))


def rotated_photograph():
    """A JPEG file whose camera was held on its side."""
    pixels = np.random.default_rng(7).integers(0, 256, (4, 5, 3), np.uint8)
    picture = Image.fromarray(pixels).resize((80, 60), Image.Resampling.NEAREST)
    mark = Image.Exif()
    mark[0x0112] = 6  # Orientation: turn it clockwise by a quarter
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=mark, quality=95)
    return file.getvalue()


def test_an_opened_image_answers_as_its_file(device, tmp_path):
    made = exported.contents("one")
    device.install(exported.patch_file(tmp_path, made))
    data = rotated_photograph()
    lying = Image.open(io.BytesIO(data))
    answer = device.run("one", lying)
    exported.close(answer, made, data)
    assert answer == device.run("one", data)
    turned = Image.fromarray(np.rot90(np.asarray(lying), -1))  # as a viewer shows it, no mark left
    assert answer == device.run("one", turned)


def test_a_truncated_image_is_refused_opened_or_not(device, tmp_path):
    device.install(exported.patch_file(tmp_path, exported.contents("one")))
    data = rotated_photograph()[:-400]
    for image in (data, Image.open(io.BytesIO(data))):
        with pytest.raises(UnreadableImageError, match=r"is damaged: .*truncated"):
            device.run("one", image)


def test_an_unknown_task_is_named(device, tmp_path):
    device.install(exported.patch_file(tmp_path, exported.contents("digits")))
    with pytest.raises(UnknownNameError, match="Did you mean 'digits'"):
        device.run("digit", exported.png(1))
    device.remove("digits")
    assert device.tasks() == ()
    with pytest.raises(UnknownNameError):
        device.remove("digits")


def test_without_a_patch_nothing_answers(backbone):
    """The graph as exported: a signature misses its inputs, a folded one has NaN for biases."""
    graph = graph_file.read_graph(backbone)
    opened = engine.Engine(graph.flatbuffer, threads=1)
    image = {signatures.IMAGES: np.zeros((1, narrow.SIZE, narrow.SIZE, 3), np.float32)}
    with pytest.raises(
        engine.LiteRTError, match=r"missing, the first of which is block_01/depthwise"
    ):
        opened.run(f"norms_{narrow.SIZE}_1", image, signatures.LOGITS)
    head = {
        signatures.HEAD_W: np.ones((graph.features, graph.classes), np.float32),
        signatures.HEAD_B: np.zeros(graph.classes, np.float32),
    }
    beside = {name: graph_file.leaf_of(graph.weights, name) for name in graph.inputs["folded"]}
    answer = opened.run(f"folded_{narrow.SIZE}_1", {**image, **head, **beside}, signatures.LOGITS)
    assert np.isnan(answer).all()


@pytest.mark.parametrize("how", ["inputs", "folded"])
def test_columns_that_are_nobody_s_answer_nan(device, tmp_path, how):
    """A patch of three classes in a graph of eight: the graph's own logits, then the answer."""
    made = exported.contents("one", classes=3)
    device.install(exported.patch_file(tmp_path, made), how)
    task = device._tasks["one"]
    image = np.zeros((1, narrow.SIZE, narrow.SIZE, 3), np.float32)
    name = signatures.signature(task.kind, narrow.SIZE, 1)
    logits = task.engine.run(name, {**task.inputs, signatures.IMAGES: image}, signatures.LOGITS)
    assert logits.shape == (1, exported.CLASSES)
    assert np.isfinite(logits[:, :3]).all()
    assert np.isnan(logits[:, 3:]).all()
    assert device.run("one", exported.png(1)).probabilities.keys() == set(made.labels)


def test_the_runtime_runs_without_jax_and_without_what_windows_lacks(backbone, tmp_path):
    """Of POSIX it is denied what it could ask for: this is no Windows."""
    made, maker = exported.contents("one"), Ed25519PrivateKey.generate()
    graph = tmp_path / "signed" / backbone.name
    graph.parent.mkdir()
    shutil.copy(backbone, graph)
    signature = signed_folder.sign_folder(graph.parent, maker)
    (graph.parent / signed_folder.NAME).write_bytes(signature)
    trusted = maker.public_key().public_bytes_raw()
    path = exported.patch_file(tmp_path, made)
    image = tmp_path / "image.png"
    image.write_bytes(exported.png(1))
    script = f"""
import json, os, pathlib, sys
for name in ("jax", "jaxlib", "haiku", "tensorflow", "optax", "fcntl", "pwd", "grp", "resource"):
    sys.modules[name] = None  # importing it fails from here on
for name in ("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod", "geteuid", "getuid"):
    delattr(os, name)
from adapters.runtime.device import Device
from adapters.store.signed_folder import check_folder
from adapters.store.trust import TrustedKey
trusted = {{{trusted!r}: TrustedKey("maker.pub")}}
check_folder({str(graph.parent)!r}, trusted)
device = Device({str(graph)!r}, signed_by=trusted)
device.install({str(path)!r})
print(json.dumps(device.run("one", pathlib.Path({str(image)!r}).read_bytes())))
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "PYTHONPATH": str(imports.ROOT)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    label, probabilities = json.loads(done.stdout)
    exported.close(Answer(label, probabilities), made, exported.png(1))


def documented():
    """The block of Python in docs/export.md that is a file of its own."""
    text = (imports.ROOT / "docs" / "export.md").read_text()
    (block,) = re.findall(r"^```python\n(import pathlib.*?)^```", text, re.M | re.S)
    return block


def test_the_documented_script_answers(backbone, tmp_path):
    (tmp_path / "answer.py").write_text(documented())
    shutil.copy(backbone, tmp_path / "backbone.tflite")
    (tmp_path / "three.png").write_bytes(exported.png(1))
    made = exported.contents("digits", classes=5)
    exported.patch_file(tmp_path, made)
    done = subprocess.run(
        [sys.executable, "-P", "answer.py", "digits", "three.png"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(imports.ROOT)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    expected = exported.wanted(made, exported.png(1))
    assert done.stdout == f"{max(expected, key=expected.get)}\n", done.stderr
