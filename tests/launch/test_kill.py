"""Killed at any moment and started again, a run ends with the same bytes."""

import os
import signal
import time

import pytest

from tests import commands
from tests.launch import small

SECONDS = 90.0


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tasks = [f"folder:{small.write_folder(root / name, n)}" for name, n in (("a", 2), ("b", 3))]
    weights = small.write_backbone(root / "narrow.safetensors")
    return [
        *(f"--tasks={','.join(tasks)}", "--backbone=narrow", f"--weights={weights}"),
        *("--size=32", "--groups=2", "--examples=4", "--steps=90", "--norm=ema"),
    ]


def start(arguments, out):
    return commands.start("tests.launch.small", *arguments, f"--out={out}", "--resume")


def finish(running):
    ended = running.end()
    assert ended.returncode == 0, ended.stderr


def wait_for(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def patches(out):
    return {path.name: path.read_bytes() for path in out.glob("*.patch")}


def test_killed_and_resumed_equals_uninterrupted(arguments, tmp_path):
    finish(start(arguments, tmp_path / "whole"))
    expected = patches(tmp_path / "whole")
    assert sorted(expected) == ["a.patch", "b.patch"]

    out = tmp_path / "killed"
    checkpoints = out / "checkpoints"
    for count, how in ((0, signal.SIGKILL), (1, signal.SIGKILL), (2, signal.SIGTERM)):
        running = start(arguments, out)
        wait_for(lambda: (out / "metrics.jsonl").exists())
        wait_for(lambda n=count: len(set(checkpoints.glob("step_*"))) >= n)
        os.kill(running.process, how)
        ended = running.end()
        expected_end = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 3}[how]
        assert ended.returncode == expected_end, ended.stderr
        assert not patches(out)
    finish(start(arguments, out))
    assert patches(out) == expected
