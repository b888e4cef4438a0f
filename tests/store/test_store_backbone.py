"""A store's file on its backbone: damage of any kind is noticed, and nothing is installed."""

import hashlib
import json
import pickle

import pytest

from adapters.store.store_backbone import (
    StoreBackbone,
    StoreBackboneError,
    decode_backbone,
    encode_backbone,
)
from tests.store import toy_store

BACKBONE = StoreBackbone("mobilenet_v2", "0a" * 32)


def spelled(**fields):
    """The file, spelled out by hand."""
    value = {"fingerprint": "0a" * 32, "name": "mobilenet_v2", "schema": 1} | fields
    text = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest().encode() + b"\n" + text


def test_its_spelling():
    assert encode_backbone(BACKBONE) == spelled()
    assert decode_backbone(spelled(), "path") == BACKBONE


@pytest.mark.parametrize(
    "fields",
    [
        {"schema": 2},
        {"name": None},
        {"name": 1},
        {"fingerprint": "0A" * 32},
        {"fingerprint": 1},
        {"more": 1},
    ],
)
def test_what_we_do_not_write(fields):
    with pytest.raises(StoreBackboneError, match=r"^path: .*delete this file"):
        decode_backbone(spelled(**fields), "path")


def test_a_refusal_survives_pickling():
    error = StoreBackboneError("path", "reason")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_with_a_damaged_one_nothing_is_installed_and_what_is_goes_on_answering(tmp_path):
    root = tmp_path / "store"
    for number in (1, 2):
        toy_store.store(root).install(toy_store.write(tmp_path, toy_store.patch(number)))
    file = root / "state" / "backbone"
    good = file.read_bytes()
    path = toy_store.write(tmp_path, toy_store.patch(3))
    damaged = [good[:size] for size in range(0, len(good), 7)]
    damaged += [bytes([*good[:at], good[at] ^ 4, *good[at + 1 :]]) for at in range(len(good))]
    for content in [*damaged, good + b"\n", b"\0" * (2**14 + 1)]:
        file.write_bytes(content)
        with pytest.raises(StoreBackboneError, match=f"^{file}: "):
            toy_store.store(root).install(path)
    with pytest.raises(StoreBackboneError):
        toy_store.store(root).roll_back("tiny")
    assert toy_store.number(root) == 2
    file.unlink()  # as the error says
    toy_store.store(root).install(path)
    assert file.read_bytes() == good
