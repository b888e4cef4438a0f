"""Benchmark processes: taking turns, replies, and what goes wrong in them."""

import json
import sys

import pytest

from adapters.benchmarking import torch_worker, worker
from adapters.benchmarking.cases import Case
from adapters.benchmarking.interleave import (
    MissingPeerError,
    Worker,
    WorkerError,
    interleaved,
    throughput_ratio,
)

CASE = Case("training", "narrow", 32, 4, "bias")


def test_sides_take_turns_and_each_round_begins_one_further():
    calls = []

    def side(name):
        return lambda: calls.append(name) or float(len(calls))

    results = interleaved([side("a"), side("b"), side("c")], repetitions=4)
    assert "".join(calls) == "abc" + "bca" + "cab" + "abc"
    assert results == [[1, 6, 8, 10], [2, 4, 9, 11], [3, 5, 7, 12]]


def test_the_ratio_is_the_median_of_the_rounds_own_ratios():
    ours, theirs = [1.0, 10.0, 4.0], [2.0, 30.0, 4.0]  # ratios 2, 3, 1; of medians 4 / 4
    assert throughput_ratio(ours, theirs) == 2.0


def test_a_run_is_timed_after_one_that_is_not(monkeypatch):
    events = []
    monkeypatch.setattr(worker.time, "perf_counter", lambda: events.append("clock") or 1.0)
    worker.seconds_of(lambda: events.append("run"))
    assert events == ["run", "clock", "run", "clock"]


def test_a_process_prepares_times_and_forgets_whatever_its_libraries_print():
    with Worker(sys.executable, "tests.launch.fake_side", {}) as side:
        assert side.name == "Fake 1.0"
        facts = side.prepare(CASE)
        assert facts.pop("first run") >= 0
        assert facts == {"values trained": 7, "programs compiled": 32}
        assert side.time(CASE) >= 0
        side.forget(CASE)
        with pytest.raises(WorkerError, match="KeyError"):
            side.time(CASE)


def test_a_failing_case_is_an_error_and_the_process_goes_on():
    small = Case("training", "narrow", 16, 4)
    with Worker(sys.executable, "tests.launch.fake_side", {}) as side:
        with pytest.raises(WorkerError, match=r"could not prepare.*size=16.*too small"):
            side.prepare(small)
        assert side.prepare(CASE)


def test_a_python_that_is_not_there_or_does_not_start_is_a_missing_peer(tmp_path):
    with pytest.raises(MissingPeerError, match="cannot be run"):
        Worker(str(tmp_path / "python"), "tests.launch.fake_side", {})
    with pytest.raises(MissingPeerError, match=r"does not start.*status 1"):
        Worker(sys.executable, "tests.launch.no_such_module", {})


def test_without_pytorch_the_peer_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    torch_worker.main()
    assert "torch" in json.loads(capsys.readouterr().out)["missing"]
