"""The flags of a process among others: all of them, or one that is alone."""

import jax
import pytest
from absl import flags
from absl.testing import flagsaver

from launch import cluster_flags, command


def joined(*given):
    with flagsaver.flagsaver():
        flags.FLAGS(["train", *given])
        with cluster_flags.joined() as member:
            return member


def test_without_flags_a_process_is_alone():
    assert (joined().index, joined().count, joined().main) == (0, 1, True)


@pytest.mark.parametrize(
    "given",
    [
        ["--processes=2"],
        ["--process=0"],
        ["--heartbeat_timeout=30"],
        ["--coordinator=host:1234"],
        ["--coordinator=host:1234", "--process=1"],
        ["--coordinator=auto", "--processes=2", "--process=1"],
    ],
)
def test_half_of_what_joins_processes_is_refused_by_the_flag_that_lacks(given):
    with pytest.raises(command.ModelPatchError) as refused:
        joined(*given)
    assert "--coordinator" in command.in_words(refused.value)


def test_a_lost_process_is_noticed_after_the_heartbeat_timeout(monkeypatch):
    told = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **named: told.append(named))
    monkeypatch.setattr(jax.distributed, "shutdown", lambda: None)
    apart = ["--coordinator=host:1234", "--processes=2", "--process=1"]
    for given in (["--coordinator=auto", "--heartbeat_timeout=30"], apart):
        joined(*given)
    assert [named["heartbeat_timeout_seconds"] for named in told] == [30, 100]
    with pytest.raises(command.ModelPatchError) as refused:
        joined(*apart, "--heartbeat_timeout=0")
    assert "--heartbeat_timeout" in command.in_words(refused.value)
