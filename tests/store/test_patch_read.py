import json
import os
import pickle
import socket
import struct
import tracemalloc

import numpy as np
import pytest

from adapters.errors import ModelPatchError
from adapters.store import errors, read
from adapters.store.parity import check_logits
from adapters.store.read import read_patch
from adapters.store.training_course import Course
from adapters.store.write import encode_patch
from tests.store import make_kind_patches, make_patches

TENSORS, SHAPES = make_patches.TENSORS, make_patches.SHAPES
BACKBONE = {"shapes": SHAPES, "features": 3, "fingerprint": "0123456789abcdef" * 4}


def test_good_file_gives_its_contents(good, path):
    path.write_bytes(good)
    contents = read_patch(path, **BACKBONE, check_parity=lambda _: None)
    assert contents.task == "tiny"
    assert contents.labels == ("cat", "d\u00f6g")
    assert contents.preprocessing == {"fit": "crop", "mean": [127.5] * 3, "size": 8}
    np.testing.assert_array_equal(contents.head["w"], [[0, 1], [2, 3], [4, 5]])
    scale = contents.edits["replace"]["block_02/expand/norm"]["scale"]
    np.testing.assert_array_equal(scale, [1.5, 2.0])
    assert scale.dtype == np.float32
    assert not scale.flags.writeable


@pytest.mark.parametrize(("name", "expected"), make_patches.patches().items())
def test_committed_files(name, expected):
    content, error = expected
    path = make_patches.FOLDER / name
    assert path.read_bytes() == content, "run python -m tests.store.make_patches"
    if error is None:
        assert read_patch(path, **BACKBONE).task == "tiny"
    else:
        with pytest.raises(errors.PatchFileError) as refusal:
            read_patch(path, **BACKBONE)
        assert type(refusal.value).__name__ == error
        assert str(path) in str(refusal.value)


def test_logits_for_rounded_kernels_are_those_of_the_file():
    contents = read_patch(make_patches.FOLDER / "int8_logits.patch", **BACKBONE)
    assert contents.parity.int8_logits == (0.5, -1.25)
    assert read_patch(make_patches.FOLDER / "tiny.patch", **BACKBONE).parity.int8_logits is None
    assert encode_patch(contents) == (make_patches.FOLDER / "int8_logits.patch").read_bytes()


def test_no_committed_file_is_forgotten():
    made = {*make_patches.patches(), *make_kind_patches.patches()}
    assert {path.name for path in make_patches.FOLDER.iterdir()} == made


def _refused(path, content, error, match=None, **arguments):
    path.write_bytes(content)
    with pytest.raises(error, match=match) as refusal:
        read_patch(path, **arguments)
    assert type(refusal.value) is error


def test_the_path_itself(tmp_path, monkeypatch):
    with pytest.raises(errors.MissingFileError, match=r"no\.patch"):
        read_patch(tmp_path / "no.patch")
    with pytest.raises(errors.MissingFileError):
        read_patch(__file__ + "/tiny.patch")
    with pytest.raises(errors.NotRegularFileError):
        read_patch(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.NotRegularFileError):
        read_patch(tmp_path / "pipe")
    with pytest.raises(errors.NotRegularFileError):
        read_patch("/dev/zero")
    with pytest.raises(errors.UnreadableFileError):
        read_patch("nul\0byte")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(errors.UnreadableFileError):
            read_patch("socket")


def test_checks_run_from_cheap_to_dear(path):
    """A file with many faults is refused for the first; mended one by one, in the stated order."""
    nan = TENSORS | {"head/w": ([3, 2], [float("nan")] * 6)}
    misfit = {"stem/norm": {"mean": (3,)}}
    bad = {"shapes": misfit, "fingerprint": "f" * 64, "check_parity": _disagree}
    wrong = "0" * 64
    assemble, card_with = make_patches.assemble, make_patches.card_with

    _refused(path, b"\xff" * 2000, errors.TooLargeError, "the file has 2000", size_cap=1999)
    _refused(path, b"\xff" * 2000, errors.NotPatchError, "the header has", size_cap=2000)
    worst = card_with(schema=2, must_understand=["edit/mix"], norm="?", labels=["a", "b", "c"])
    twice = make_patches.header(make_patches.spell(worst)[:-1] + b',"schema":2}', nan)
    _refused(path, twice, errors.DuplicateKeyError, "'schema' stands twice", **bad)
    for mended, error in [
        ({}, errors.SchemaVersionError),
        ({"schema": 1}, errors.UnsupportedFeatureError),
        ({"must_understand": ["edit/replace"]}, errors.SchemaError),
        ({"norm": "ema"}, errors.LabelsError),
        ({"labels": ["a", "b"]}, errors.ShapeMismatchError),
    ]:
        worst |= mended
        _refused(path, assemble(worst, nan, wrong), error, **bad)
    bad["shapes"] = SHAPES
    _refused(path, assemble(worst, nan, wrong), errors.DigestError, **bad)
    _refused(path, assemble(worst, nan), errors.NotFiniteError, "head/w", **bad)
    _refused(path, assemble(worst, TENSORS), errors.FingerprintError, "fffff", **bad)
    bad["fingerprint"] = BACKBONE["fingerprint"]
    _refused(path, assemble(worst, TENSORS), errors.ParityError, r"tiny\.patch.*differ", **bad)


def _disagree(contents):
    check_logits(contents.parity.logits, [0.25, -1.4], contents.parity.tolerance)


@pytest.mark.parametrize(
    ("shapes", "match"),
    [
        ({"stem/norm": SHAPES["stem/norm"]}, "edits block_02/expand/norm/offset, which"),
        (SHAPES | {"stem/norm": {"scale": (2,)}}, "edits stem/norm/mean, which"),
        (SHAPES | {"stem/norm": {"mean": (3,)}}, r"stem/norm/mean is \[2\], the backbone's is \[3"),
    ],
)
def test_edits_that_do_not_fit(good, path, shapes, match):
    _refused(path, good, errors.ShapeMismatchError, match, shapes=shapes)


def test_head_that_does_not_fit(good, path):
    _refused(path, good, errors.ShapeMismatchError, "3 features.* gives 4", features=4)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"schema": True}, "'schema' is of type bool"),
        ({"must_understand": []}, "must_understand does not list"),
        ({"must_understand": ["edit/replace"] * 2}, "must_understand does not list"),
        ({"must_understand": [1]}, "holds 1, which is no str"),
        ({"scores": {"test": 1}}, "'test' is of type int"),
        ({"scores": {}}, "no split has a score"),
        ({"labels": "ab"}, "'labels' is of type str"),
        ({"head": {"kind": "classification", "features": 3.0, "classes": 2}}, "another head"),
        ({"head": {"kind": "multilabel", "features": 3, "outputs": 2}}, "must_understand does not"),
        (
            {
                "head": {"kind": "multilabel", "features": 3, "classes": 2},
                "must_understand": ["edit/replace", "head/multilabel"],
            },
            "another head",
        ),
        (
            {
                "head": {"kind": "multilabel", "features": 3, "settings": {"thresholds": [0.5]}},
                "must_understand": ["edit/replace", "head/multilabel"],
            },
            "1 thresholds do not fit 2 labels",
        ),
        ({"head": {"kind": "classification", "settings": {"a": 1}}}, "settings do not hold"),
        ({"inputs": {"place": [3]}}, "must_understand does not"),
        ({"inputs": {}}, "names no inputs"),
        ({"inputs": {"image": [3]}}, "'image' cannot be an input"),
        ({"inputs": {"a b": [3]}}, "'a b' cannot be an input"),
        ({"inputs": {"place": []}}, "'place' has no length"),
        ({"inputs": {"place": [0]}}, "not an integer from 1"),
        ({"inputs": {"place": [2**17]}}, "more than 65536 numbers"),
        ({"inputs": {"place": [3.0]}}, "which is no int"),
        ({"words": {}}, "names no words"),
        ({"words": {"query": {"cup": [0]}}}, "'query' is said in words, and is no input"),
        ({"data": {}}, "names no data"),
        ({"data": []}, "'data' is of type list"),
        ({"data": {"test": 3}}, "'test' is of type int"),
        ({"data": {"test": " "}}, "the digest of 'test' is ' ', not a text"),
        ({"parity": make_patches.CARD["parity"] | {"shape": [8, 8]}}, r"\[8, 8\] is not"),
        ({"parity": make_patches.CARD["parity"] | {"tolerance": 0.0}}, "not above zero"),
        ({"task": {"name": "../tiny", "version": "1"}}, "cannot be a file's name"),
        ({"backbone": {"name": "b", "fingerprint": "0" * 63}}, "64 hexadecimal"),
    ],
)
def test_wrong_fields(path, fields, match):
    content = make_patches.assemble(make_patches.card_with(**fields), TENSORS)
    _refused(path, content, errors.SchemaError, match)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({}, "said in words, of which there are none"),
        ({"cup": []}, "'cup' stands for none"),
        ({"cup": [3]}, "or for other numbers than the 3"),
        ({"cup": [-1]}, "not an integer from 0"),
        ({"cup": [1.0]}, "which is no int"),
        ({"cup\u0007": [1]}, "a control character"),
        ({" ": [1]}, "a text of the input 'query' is ' ', not a text"),
        ({"cup": 1}, "'cup' is of type int"),
    ],
)
def test_words_of_no_input(path, words, match):
    card = make_patches.card_with(
        inputs={"query": [3]}, words={"query": words}, must_understand=["edit/replace", "inputs"]
    )
    _refused(path, make_patches.assemble(card, TENSORS), errors.SchemaError, match)


def test_words_are_read(path):
    card = make_patches.card_with(
        inputs={"query": [3]},
        words={"query": {"": [0], "left cup": [1, 2]}},
        must_understand=["edit/replace", "inputs"],
    )
    path.write_bytes(make_patches.assemble(card, TENSORS))
    assert read_patch(path, **BACKBONE).words == {"query": {"": (0,), "left cup": (1, 2)}}


@pytest.mark.parametrize("needed", [[], ["head/detection"]])
def test_a_head_of_an_unknown_kind(path, needed):
    head = {"kind": "detection", "features": 3, "outputs": 2}
    card = make_patches.card_with(head=head, must_understand=["edit/replace", *needed])
    content = make_patches.assemble(card, TENSORS)
    _refused(path, content, errors.UnsupportedFeatureError, "detection")


@pytest.mark.parametrize("field", make_patches.CARD)
def test_missing_fields(path, field):
    card = {name: value for name, value in make_patches.CARD.items() if name != field}
    _refused(
        path, make_patches.assemble(card, TENSORS), errors.SchemaError, f"'{field}' is missing"
    )


def test_missing_digest(path):
    text = make_patches.spell(make_patches.CARD)
    content = make_patches.header(text, TENSORS) + bytes(56)
    _refused(path, content, errors.SchemaError, "'sha256' is missing")


def test_data_are_told_where_they_are_known(path):
    path.write_bytes(make_patches.assemble(make_patches.card_with(data={"test": "0f"}), TENSORS))
    assert read_patch(path, **BACKBONE).data == {"test": "0f"}
    path.write_bytes(make_patches.assemble(make_patches.CARD, TENSORS))
    assert read_patch(path, **BACKBONE).data == {}


def test_the_training_is_told_where_it_is_known(path):
    said = {"step": 6, "steps": 9, "end": "patience", "extended": [4]}
    path.write_bytes(make_patches.assemble(make_patches.card_with(training=said), TENSORS))
    assert read_patch(path, **BACKBONE).training == Course(6, 9, "patience", (4,))
    path.write_bytes(make_patches.assemble(make_patches.CARD, TENSORS))
    assert read_patch(path, **BACKBONE).training is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"step": 10}, "step 10 of 9"),
        ({"step": -1}, "not all whole numbers"),
        ({"extended": [4, 3]}, "extended after step 4 of 3"),
        ({"extended": [12]}, "extended after step 12 of 9"),
        ({"end": " "}, "' ', not a text"),
        ({"end": 3}, "'end' is of type int"),
        ({"steps": 9.0}, "'steps' is of type float"),
        ({"extended": [True]}, "holds True"),
    ],
)
def test_a_training_that_cannot_be_is_refused(path, change, match):
    said = {"step": 6, "steps": 9, "end": "steps", "extended": [], **change}
    content = make_patches.assemble(make_patches.card_with(training=said), TENSORS)
    _refused(path, content, errors.SchemaError, match)


def test_unknown_field_may_be_ignored(path):
    path.write_bytes(make_patches.assemble(make_patches.card_with(note="later"), TENSORS))
    assert read_patch(path, **BACKBONE).task == "tiny"


@pytest.mark.parametrize(
    ("tensor", "error", "match"),
    [
        ("edit/mix/stem/w", errors.UnsupportedFeatureError, "kind 'mix'"),
        ("edit/replace/w", errors.SchemaError, "neither an edit nor the head's"),
        ("edit/replace/stem//w", errors.SchemaError, "not a module path"),
        ("edit/replace/st em/w", errors.SchemaError, "not a module path"),
        ("optimizer/stem/w", errors.SchemaError, "neither an edit nor the head's"),
        ("head/c", errors.SchemaError, "the head is not w"),
    ],
)
def test_unknown_tensors(path, tensor, error, match):
    content = make_patches.assemble(make_patches.CARD, TENSORS | {tensor: ([1], [0.0])})
    _refused(path, content, error, match)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # True == 1 and 0.0 == 0 in Python: equal values, but not the bytes we write.
        (b'"data_offsets":[0,8]', b'"data_offsets":[false,8]'),
        (b'"data_offsets":[0,8]', b'"data_offsets":[0.0,8]'),
        (b'"shape":[3,2]', b'"shape":[3,true,2]'),
        (b'"shape":[3,2]', b'"shape":[0,2]'),
        (b'"shape":[3,2]', b'"shape":[-3,-2]'),
        (b'"shape":[3,2]', b'"shape":6'),
        (b'"shape":[3,2]', b'"shape":[3,2],"strides":[2,1]'),
        (b'"data_offsets":[32,56]', b'"data_offsets":[40,64]'),
        (b'{"__metadata__":{', b'{"__metadata__":{"format":"np",'),
    ],
)
def test_containers_that_we_do_not_write(path, old, new):
    _refused(path, make_patches.respelled(old, new), errors.HeaderError)


def test_padding_is_fixed(good, path):
    (length,) = struct.unpack("<Q", good[:8])
    text, data = good[8 : 8 + length], good[8 + length :]
    more = struct.pack("<Q", length + 8) + text + b" " * 8 + data
    _refused(path, more, errors.HeaderError, "more spaces than needed")
    odd = struct.pack("<Q", length + 1) + text + b" " + data
    _refused(path, odd, errors.HeaderError, "not a multiple of 8")


def test_bombs_are_refused_early(path):
    for text in (b"[" * 2000, b'{"a":' * 1000, b"1" * 100_000):
        _refused(path, make_patches.wrap(text), errors.JSONError)
    for text in (b"[" * 100_000, b'{"a":' * 100_000):
        _refused(path, make_patches.wrap(text), errors.TooLargeError, "signs of structure")
    deep = make_patches.card_with(preprocessing=json.loads("[" * 20 + "]" * 20))
    _refused(path, make_patches.assemble(deep, TENSORS), errors.JSONError, "levels deep")


def test_nothing_large_is_read_before_the_digests_turn(path):
    size = 4 * 2**20
    huge = make_patches.header(make_patches.spell(make_patches.CARD), {"head/b": ([1], [0.0])})
    huge = make_patches.wrap(
        huge[8:]
        .rstrip()
        .replace(b"[0,4]", f"[0,{4 * size}]".encode())
        .replace(b'"shape":[1]', f'"shape":[{size}]'.encode())
    )
    path.write_bytes(huge)
    os.truncate(path, len(huge) + 4 * size)
    tracemalloc.start()
    with pytest.raises(errors.SchemaError, match="the head is not w"):
        read_patch(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_file_that_shrinks_while_read_is_refused(good, path, monkeypatch):
    path.write_bytes(good[:-4])
    real = os.fstat
    monkeypatch.setattr(read.os, "fstat", lambda descriptor: _Grown(real(descriptor)))
    with pytest.raises(errors.PatchFileError):
        read_patch(path)


class _Grown:
    def __init__(self, status):
        self.st_mode, self.st_size = status.st_mode, status.st_size + 4


def test_every_refusal_says_what_to_do_and_survives_pickling():
    classes = errors.PatchFileError.__subclasses__()
    assert errors.DigestError in classes
    for kind in classes:
        assert issubclass(kind, ModelPatchError)
        error = kind("the reason")
        error.path = "a.patch"
        assert str(error) == f"a.patch: the reason. {kind.advice}"
        assert kind.advice
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
