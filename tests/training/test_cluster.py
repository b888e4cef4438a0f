"""Processes that train together: the same bytes as one, stopped together, killed and resumed."""

import os
import signal
import socket
import subprocess
import sys

import jax
import pytest

from adapters.training import checkpoint, loop
from adapters.training.cluster import ClusterError, cluster, together
from adapters.training.interrupt import ProcessLostError
from tests.imports import ROOT
from tests.training.test_loop import STEPS, bits, run


def start(port, index, folder):
    flag = "--xla_force_host_platform_device_count=1"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.one_of_two", str(port), str(index), str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": flag},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_stop_together_and_give_the_bytes_of_one_with_two_devices(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [start(port, index, tmp_path / "two") for index in range(2)]
    ended = [process.communicate(timeout=120) for process in processes]
    said = [next(line for line in out.splitlines() if "stopped" in line) for out, _ in ended]
    assert said[0] == said[1], ended
    assert said[0].startswith("SIGTERM stopped the run after step 3 of 12")
    # The coordinator's death ends whoever it coordinates.
    assert [process.returncode for process in processes] == [-signal.SIGKILL, -signal.SIGABRT]
    assert checkpoint.latest(tmp_path / "two" / loop.CHECKPOINTS) == 10 < STEPS
    found = bits(run(tmp_path / "two", devices=2))
    assert found == bits(run(tmp_path / "one", devices=2))
    logs = [(tmp_path / folder / "metrics.jsonl").read_text() for folder in ("two", "one")]
    assert logs[0] == logs[1]


def test_who_is_told_half_of_it_is_refused():
    for given in (("host:1234",), ("host:1234", 2), ("auto", 2, 0)):
        with pytest.raises(ClusterError, match="belong to the address"), cluster(*given):
            pass


def test_a_process_that_has_asked_for_devices_cannot_join():
    jax.devices()
    refused = pytest.raises(ClusterError, match="cannot join others at the coordinator")
    with refused, cluster("127.0.0.1:1", 2, 0):
        pass


def test_lost_processes_are_said_in_words_and_errors_of_one_process_are_left_alone(monkeypatch):
    def failing():
        with together():
            raise jax.errors.JaxRuntimeError("UNKNOWN: Gloo all-reduce failed: closed\nmore")

    with pytest.raises(jax.errors.JaxRuntimeError):
        failing()
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ProcessLostError, match=r"has ended.*closed\).*resume"):
        failing()
