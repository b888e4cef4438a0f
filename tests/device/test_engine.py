"""The engine: what it refuses, what it keeps, and that it is quiet."""

import os
import subprocess
import sys

import numpy as np
import pytest

from adapters.runtime import notices, signatures
from adapters.runtime.engine import Engine, LiteRTError
from adapters.runtime.feeds import fed
from tests import narrow
from tests.device import exported

NAME = f"norms_{narrow.SIZE}_1"


@pytest.fixture(scope="module")
def engine():
    return Engine(exported.graph().flatbuffer, threads=1)


def inputs():
    head = exported.head(exported.CLASSES, seed=0)
    images = np.random.default_rng(0).standard_normal((1, narrow.SIZE, narrow.SIZE, 3), np.float32)
    vectors = fed(exported.graph(), signatures.NORMS, exported.weights()).inputs
    return {**vectors, "head/w": head["w"], "head/b": head["b"], "images": images}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((1, 3), np.float32)}, r"images as float32 \[1, 32, 32, 3\], not fl"),
        ({"head/b": np.zeros(exported.CLASSES, np.int32)}, r"head/b as float32 \[8\], not int32"),
        ({"head/c": np.zeros(1, np.float32)}, "1 unknown, the first of which is head/c"),
    ],
)
def test_what_litert_would_take_unseen_is_refused(engine, changes, message):
    with pytest.raises(LiteRTError, match=message):
        engine.run(NAME, {**inputs(), **changes}, signatures.LOGITS)


def test_unknown_names_are_refused(engine):
    with pytest.raises(LiteRTError, match="norms_7_1"):
        engine.run("norms_7_1", inputs(), signatures.LOGITS)


def test_arrays_that_change_are_seen_and_read_only_ones_kept(engine):
    """A caller may write into its own arrays; another array takes the place of a kept one."""
    given = inputs()
    first = engine.run(NAME, given, signatures.LOGITS)
    given["head/b"] += 1
    np.testing.assert_allclose(engine.run(NAME, given, signatures.LOGITS), first + 1, atol=1e-5)
    kept = given["head/b"].copy()
    kept.flags.writeable = False
    for bias in (kept, kept + 1, kept):
        got = engine.run(NAME, {**given, "head/b": bias}, signatures.LOGITS)
        np.testing.assert_allclose(got, first + bias - given["head/b"] + 1, atol=1e-5)
    assert engine._calls[NAME].sent["head/b"] is kept


def test_vectors_of_patches_are_read_only():
    assert not any(
        vector.flags.writeable
        for vector in fed(exported.graph(), signatures.NORMS, exported.weights()).inputs.values()
    )


def test_opening_says_nothing(tmp_path):
    """In a process of its own: LiteRT announces itself once, and again as the process ends."""
    exported_to = tmp_path / "graph.tflite"
    exported_to.write_bytes(exported.graph().flatbuffer)
    program = f"""
from adapters.runtime.engine import Engine
from launch import command

def main(arguments):
    engine = Engine(open({str(exported_to)!r}, "rb").read(), threads=1)
    try:
        engine.run({NAME!r}, {{}}, "logits")
    except Exception as error:
        print(type(error).__name__)

command.run(main, compiles=False)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "LiteRTError\n", "")


def test_only_notices_are_held_back(capfd):
    with notices.without_notices():
        os.write(2, b"INFO: a notice\nERROR: this is seen\nso is this\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "ERROR: this is seen\nso is this\n"


def test_errors_pass_through_the_holding_back(capfd):
    def fails():
        with notices.without_notices():
            os.write(2, b"said before\n")
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fails()
    os.write(2, b"said after\n")
    assert capfd.readouterr().err == "said before\nsaid after\n"


def test_where_nothing_can_be_held_it_passes(capfd, monkeypatch):
    def full():
        raise OSError("no room")

    monkeypatch.setattr(notices.tempfile, "TemporaryFile", full)
    with notices.without_notices():
        os.write(2, b"INFO: a notice\n")
    assert capfd.readouterr().err == "INFO: a notice\n"
