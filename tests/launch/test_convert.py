"""`launch/convert` and `launch/initialise`: one file with weights and their conventions."""

import pytest

from adapters.backbones.checkpoint import read_checkpoint
from adapters.backbones.conventions import TORCH_CENTRED
from adapters.backbones.registry import table
from adapters.experiment import backbones
from launch import command
from tests import commands
from tests.backbones import published
from tests.backbones.torch_writer import torch_file

TABLE = "mobilenet_v3_small_minimalistic_1.0"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The last weights, with a head of three classes, beside averages with one of four."""
    path = tmp_path_factory.mktemp("theirs") / "model.pth"
    last, averages = (published.tensors("timm", TABLE, classes) for classes in (3, 4))
    path.write_bytes(torch_file({"state_dict": last, "state_dict_ema": averages, "epoch": 7}))
    return path


def converted(*arguments):
    return ran("launch.convert", *arguments)


def ran(module, *arguments):
    return commands.run(module, *arguments)


def test_the_written_file_keeps_the_conventions_and_is_never_overwritten(theirs, tmp_path):
    out = tmp_path / "ours.safetensors"
    flags = [f"--backbone={TABLE}", "--conventions=torch_centred", f"--out={out}"]
    ended = converted(theirs, *flags, "--licence=Apache-2.0", "--entry=state_dict")
    assert ended.returncode == 0, ended.stderr
    assert "taking the weights at 'state_dict'" in ended.stderr
    assert "not taken: the weights at 'state_dict_ema' (averaged)" in ended.stderr
    checkpoint = read_checkpoint(out)
    found = checkpoint.padding, checkpoint.epsilon, checkpoint.mean, checkpoint.std
    assert found == TORCH_CENTRED
    assert checkpoint.licence == "Apache-2.0"
    assert checkpoint.head["b"].shape == (3,)
    assert "pixels (x - 127.5) / 127.5" in ended.stdout
    loaded = backbones.load(TABLE, str(out))
    assert loaded.fingerprint in ended.stdout
    assert loaded.network.table == table(TABLE)

    before = out.read_bytes()
    again = converted(theirs, *flags)
    assert again.returncode == 2
    assert f"{out} exists already" in again.stderr
    assert out.read_bytes() == before


def test_conventions_that_names_do_not_tell_are_asked_for(theirs, tmp_path):
    out = tmp_path / "ours.safetensors"
    ended = converted(theirs, f"--backbone={TABLE}", f"--out={out}")
    assert ended.returncode == 2
    assert "Give --conventions, one of keras, keras_v1, torch," in ended.stderr
    assert not out.exists()
    with pytest.raises(backbones.WeightsNeedConvertingError, match="convert them once") as refused:
        backbones.load(TABLE, str(theirs))
    assert "launch/convert FILE --backbone=TABLE --conventions" in command.in_words(refused.value)


def test_one_of_several_networks_is_asked_for(tmp_path):
    tensors = published.tensors("timm", "mobilenet_v2_0.35", classes=3)
    (tmp_path / "two.pth").write_bytes(torch_file({"teacher": tensors, "student": tensors}))
    with pytest.raises(
        backbones.WeightsNeedConvertingError, match=r"two\.pth: the file"
    ) as refused:
        backbones.load("mobilenet_v2_0.35", str(tmp_path / "two.pth"))
    assert "'teacher', 'student'" in str(refused.value)
    assert "--entry=... chooses" in command.in_words(refused.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.pth", "--backbone=mobilenet_v2_1.0", "--out=x"], "missing.pth: No such file"),
        (["x.pth", "--backbone=mobilenet_v2", "--out=x"], "mobilenet_v2_1.0"),
        (["x.pth", "--out=x"], "give a file, its layer table and where to write"),
    ],
)
def test_what_is_missing_is_said(tmp_path, arguments, said):
    ended = converted(*arguments)
    assert ended.returncode in (1, 2)
    assert said in ended.stderr


def test_random_weights_are_drawn_from_the_seed(tmp_path):
    def drawn(seed, name):
        path = tmp_path / name
        flags = ["--backbone=isometric_small_8", f"--seed={seed}", f"--out={path}"]
        ended = ran("launch.initialise", *flags)
        assert ended.returncode == 0, ended.stderr
        return path

    first, again, other = drawn(0, "first"), drawn(0, "again"), drawn(1, "other")
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()
    loaded = backbones.load("isometric_small_8", str(first))
    assert loaded.checkpoint.head is None
    assert loaded.network.table == table("isometric_small_8")
