"""`launch/answer`: a line an image, whichever patch answers, or why none does."""

import json

import pytest
from absl import logging

from adapters.errors import UnknownNameError
from adapters.preprocessing import UnreadableImageError
from adapters.runtime.stored import StoredDevice
from launch.answer import NothingAnswersError, answers
from tests.device import exported


@pytest.fixture
def warned(monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    return said


@pytest.fixture
def start(backbone, tmp_path):
    """A device as a new process would open it."""
    return lambda: StoredDevice(backbone, tmp_path / "store", trusted=None)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "three.png"
    path.write_bytes(exported.png(1))
    return str(path)


def line(made, path):
    expected = exported.wanted(made, exported.png(1))
    best = max(expected, key=expected.get)
    return f"{path}: {best} ({expected[best]:.1%})"


def damage(root, number):
    """Flips a bit of the patch that was installed as the last but `number`."""
    files = sorted(root.rglob("*.patch"), key=lambda path: path.stat().st_mtime_ns)
    content = bytearray(files[-1 - number].read_bytes())
    content[-1] ^= 1
    files[-1 - number].write_bytes(content)


def test_the_current_patch_answers_or_the_one_before_or_none(start, tmp_path, image, warned):
    old, new = exported.contents("one"), exported.contents("one", seed=5)
    for made in (old, new):
        start().install(exported.patch_file(tmp_path, made))
    assert list(answers(start(), "one", [image, image])) == [line(new, image)] * 2
    assert not warned
    damage(tmp_path / "store", 0)
    assert list(answers(start(), "one", [image])) == [line(old, image)]
    (said,) = warned
    assert said.startswith("the patch before it answers, since ")
    assert "the file is not the one that was installed" in said
    damage(tmp_path / "store", 1)
    with pytest.raises(NothingAnswersError, match="no patch of one may answer"):
        list(answers(start(), "one", [image]))


def test_an_answer_is_json_where_that_is_asked_for(start, tmp_path, image):
    made = exported.contents("one")
    start().install(exported.patch_file(tmp_path, made))
    (said,) = answers(start(), "one", [image], as_json=True)
    read = json.loads(said)
    assert read["image"] == image
    found = {row["label"]: row["probability"] for row in read["answers"]}
    assert found == pytest.approx(exported.wanted(made, exported.png(1)), abs=1e-4)


def test_what_is_no_task_and_what_is_no_image(start, tmp_path, image):
    start().install(exported.patch_file(tmp_path, exported.contents("digits")))
    with pytest.raises(UnknownNameError, match="Did you mean 'digits'"):
        list(answers(start(), "digit", [image]))
    other = tmp_path / "notes.txt"
    other.write_text("no image")
    with pytest.raises(UnreadableImageError, match=r"notes\.txt: it is no image"):
        list(answers(start(), "digits", [image, str(other)]))
