"""What a store remembers: damage of any kind is noticed, and never another version or patch."""

import dataclasses
import hashlib
import json
import pickle

import pytest

from adapters.store.record import Entry, Record, RecordError, decode_record, encode_record
from adapters.store.release import Counted
from tests.store import toy_store

RECORD = Record("tiny", "1.2.0", Entry("a" * 64, "ed25519 ...\n"), Entry("b" * 64, None))


def spelled(**fields):
    """A record's file, spelled out by hand."""
    value = {
        "current": {"sha256": "a" * 64, "signature": "ed25519 ...\n"},
        "highest": "1.2.0",
        "previous": {"sha256": "b" * 64, "signature": None},
        "schema": 1,
        "task": "tiny",
    }
    text = json.dumps(value | fields, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest().encode() + b"\n" + text


def test_its_spelling():
    assert encode_record(RECORD) == spelled()
    assert decode_record(spelled(), "tiny", "path") == RECORD
    counted = {"number": 7, "sha256": "c" * 64, "withdrawn": [8, 9]}
    later = dataclasses.replace(RECORD, counted=Counted(7, "c" * 64, (8, 9)))
    assert encode_record(later) == spelled(schema=2, counted=counted)
    assert decode_record(spelled(schema=2, counted=counted), "tiny", "path") == later
    removed = Record("tiny", "1", None, None)
    assert removed.entries == ()
    assert decode_record(encode_record(removed), "tiny", "path") == removed


@pytest.mark.parametrize(
    "fields",
    [
        {"schema": 2},
        {"schema": 3},
        {"schema": 2, "counted": None},
        {"schema": 2, "counted": {"number": 0, "sha256": "c" * 64, "withdrawn": []}},
        {"schema": 2, "counted": {"number": 7, "sha256": "c", "withdrawn": []}},
        {"schema": 2, "counted": {"number": 7, "sha256": "c" * 64, "withdrawn": ["8"]}},
        {"schema": 2, "counted": {"number": 7, "sha256": "c" * 64}},
        {"highest": "new"},
        {"highest": None},
        {"highest": 1},
        {"task": "other"},
        {"current": {"sha256": "../../etc/passwd", "signature": None}},
        {"current": {"sha256": "a" * 64}},
        {"current": []},
        {"previous": {"sha256": 1, "signature": None}},
        {"previous": {"sha256": "a" * 64, "signature": 1}},
        {"more": 1},
    ],
)
def test_what_we_do_not_write(fields):
    with pytest.raises(RecordError, match=r"^path: .*delete this file"):
        decode_record(spelled(**fields), "tiny", "path")


def test_a_refusal_survives_pickling():
    error = RecordError("path", "reason")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_no_damage_makes_another_patch_answer_or_an_older_one_acceptable(tmp_path):
    """Every flipped bit and every truncation of the file: nothing answers, nothing is installed."""
    root = tmp_path / "store"
    for number, version in ((1, "1.0.0"), (2, "2.0.0")):
        path = toy_store.write(tmp_path, toy_store.patch(number, version))
        toy_store.store(root).install(path)
    record = root / "state" / "tiny.record"
    good = record.read_bytes()
    damaged = [good[:size] for size in range(len(good))]
    for at in range(len(good)):
        flipped = bytearray(good)
        flipped[at] ^= 1 << at % 8
        damaged.append(bytes(flipped))
    store = toy_store.store(root)
    for content in [*damaged, good + b"\n", b"\0" * 2**14, b"\0" * (2**14 + 1)]:
        record.write_bytes(content)
        found = store.active("tiny")
        assert found.contents is None
        assert isinstance(found.refused[0], RecordError)
    for number, version in ((1, "1.0.0"), (3, "3.0.0")):
        path = toy_store.write(tmp_path, toy_store.patch(number, version))
        record.write_bytes(damaged[-1])
        with pytest.raises(RecordError, match=r"tiny\.record"):
            store.install(path)
        assert record.read_bytes() == damaged[-1]
    record.write_bytes(good)
    assert toy_store.number(root) == 2
