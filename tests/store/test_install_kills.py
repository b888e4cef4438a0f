"""Really killed, and really at once: the old patch answers or the new one, whole, never a mix."""

import itertools
import json
import os
import signal
import subprocess
import sys

import pytest


@pytest.fixture
def seen(tmp_path):
    def call(what):
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "tests.store.killed_installs", str(tmp_path), what],
            env={**os.environ, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return call


def test_killed_before_every_line(seen):
    """The old answers up to one line, and the new one from there on; no patch is passed over."""
    lines = seen("lines")
    for name, (old, new) in {
        "first": (None, 3),
        "update": (2, 3),
        "roll_back": (2, 1),
    }.items():
        *killed, finished = found = lines[name]
        assert len(killed) > 40, name
        assert {status for status, *_ in killed} == {-signal.SIGKILL}
        assert finished[0] == 0
        answers = [answer for _, answer, *_ in found]
        assert [answer for answer, _ in itertools.groupby(answers)] == [old, new], name
        assert {again for *_, again, _ in found} == {"1.0.0"}
        assert [left for *_, left in found] == [["state/.lock"]] * len(found)


def test_killed_at_any_moment(seen):
    found: set[int] = set()
    for answers in seen("moments")["answers"]:
        numbers = [-1 if answer is None else answer for answer in answers]
        assert numbers == sorted(numbers), "an older version answers"
        found.update(numbers)
    assert len(found) >= 6, "the kills came too early to mean anything"


def test_two_processes_install_at_once(seen):
    found = seen("pair")
    assert found["statuses"] == [0, 0]
    assert {error for refused in found["refused"] for error in refused} <= {"OlderVersionError"}
    numbers = [-1 if answer is None else answer for answer in found["answers"]]
    assert numbers == sorted(numbers), "an older version answers"
    assert len(set(numbers)) > 5, "nobody looked while they installed"
    assert numbers[-1] == 119
    assert len(found["left"]) == 5, "two patches, record, backbone and lock"
