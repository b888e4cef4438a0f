"""A checkpoint file gives back exactly what was written, or says what is wrong."""

import dataclasses

import numpy as np
import pytest
import safetensors.numpy

from adapters import files
from adapters.backbones.checkpoint import (
    Checkpoint,
    CheckpointError,
    Predicts,
    content_digest,
    read_checkpoint,
    write_checkpoint,
)
from adapters.backbones.convert import ConversionError, load_checkpoint
from adapters.backbones.registry import table
from adapters.fingerprint import fingerprint


@pytest.fixture
def checkpoint() -> Checkpoint:
    return Checkpoint(
        table="mobilenet_v2_1.0",
        weights={
            "stem": {"w": np.arange(54, dtype=np.float32).reshape(3, 3, 3, 2)},
            "stem/norm": {"var": np.float32([0.1, 1e-30])},
        },
        head={"w": np.eye(2, dtype=np.float32), "b": np.float32([1, -1])},
        padding="same",
        epsilon=1e-3,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        label_offset=0,
        source="somewhere",
        licence="MIT",
    )


def about(checkpoint: Checkpoint) -> dict[str, object]:
    values = {f.name: getattr(checkpoint, f.name) for f in dataclasses.fields(checkpoint)}
    values["weights"] = fingerprint(checkpoint.weights)
    values["head"] = checkpoint.head and fingerprint({"head": checkpoint.head})
    return values


@pytest.mark.parametrize("headless", [False, True])
def test_round_trip(checkpoint, tmp_path, headless):
    if headless:
        checkpoint = dataclasses.replace(checkpoint, head=None)
    write_checkpoint(tmp_path / "a", checkpoint)
    assert about(read_checkpoint(tmp_path / "a")) == about(checkpoint)


def test_a_detector_s_predictors_come_back(checkpoint, tmp_path):
    head = {"1/classes/w": np.ones((2, 3, 2), np.float32), "1/classes/b": np.zeros((3, 2))}
    told = Predicts("ssdlite(anchors=tensorflow)", ("person",), 300)
    detector = dataclasses.replace(checkpoint, head=head, predicts=told)
    write_checkpoint(tmp_path / "a", detector)
    found = read_checkpoint(tmp_path / "a")
    assert about(found) == about(detector)
    assert content_digest(found) == content_digest(detector) != content_digest(checkpoint)


def test_equal_checkpoints_give_equal_bytes(checkpoint, tmp_path):
    for name in "abc":
        write_checkpoint(tmp_path / name, checkpoint)
        checkpoint = read_checkpoint(tmp_path / name)
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1


def test_every_flipped_bit_of_the_values_is_seen(checkpoint, tmp_path):
    write_checkpoint(tmp_path / "a", checkpoint)
    data = (tmp_path / "a").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for position in range(start, len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << (position % 8)
        (tmp_path / "a").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="does not match its digest"):
            read_checkpoint(tmp_path / "a")


def test_a_flipped_bit_of_the_header_is_seen_or_harmless(checkpoint, tmp_path):
    write_checkpoint(tmp_path / "a", checkpoint)
    data = (tmp_path / "a").read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    for position in range(header):
        damaged = bytearray(data)
        damaged[position] ^= 2
        (tmp_path / "a").write_bytes(damaged)
        try:
            found = about(read_checkpoint(tmp_path / "a"))
        except CheckpointError:
            continue
        assert found == about(checkpoint), position


def test_a_file_cut_short(checkpoint, tmp_path):
    write_checkpoint(tmp_path / "a", checkpoint)
    data = (tmp_path / "a").read_bytes()
    for length in (0, 5, 8, 100, len(data) - 1):
        (tmp_path / "a").write_bytes(data[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            read_checkpoint(tmp_path / "a")


def test_another_safetensors_file(tmp_path):
    (tmp_path / "a").write_bytes(safetensors.numpy.save({"w": np.zeros(2, np.float32)}))
    with pytest.raises(CheckpointError, match="not a checkpoint written by this version"):
        read_checkpoint(tmp_path / "a")


def test_load_checkpoint_knows_our_own_files(checkpoint, tmp_path):
    write_checkpoint(tmp_path / "a", checkpoint)
    loaded = load_checkpoint(tmp_path / "a", table("mobilenet_v2_1.0"))
    assert about(loaded) == about(checkpoint)
    with pytest.raises(ConversionError, match=r"holds mobilenet_v2_1\.0"):
        load_checkpoint(tmp_path / "a", table("mobilenet_v2_0.5"))


def test_a_full_disk_leaves_the_old_file(checkpoint, tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "a", checkpoint)
    before = (tmp_path / "a").read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(files.NotWrittenError, match="No space left"):
        write_checkpoint(tmp_path / "a", dataclasses.replace(checkpoint, source="elsewhere"))
    assert (tmp_path / "a").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
