import dataclasses
import doctest
import hashlib
import stat

import numpy as np
import pytest
import safetensors.numpy

from adapters.store import container, errors, write
from adapters.store.read import read_patch
from adapters.store.write import encode_patch, patch_size, write_patch
from tests.store import make_patches

# Of the file that schema 1 gives for the `contents` fixture. It never changes: files stay
# readable, and another schema gets another fixture.
GOLDEN = "48e2afa9eceb4116fbb66c36f06ddda17f6bc1091a85391cbfc76a8431f7659a"


def test_docstring_example():
    assert doctest.testmod(write) == (0, 9)


def test_bytes_are_those_of_the_description(contents, good):
    assert encode_patch(contents) == good


def test_golden_bytes(contents):
    assert hashlib.sha256(encode_patch(contents)).hexdigest() == GOLDEN


def test_order_of_insertion_and_memory_does_not_matter(contents):
    reordered = dataclasses.replace(
        contents,
        scores=dict(reversed(contents.scores.items())),
        edits={"replace": dict(reversed(contents.edits["replace"].items()))},
        head={"b": contents.head["b"], "w": np.asfortranarray(contents.head["w"])},
    )
    assert encode_patch(reordered) == encode_patch(contents)


def test_written_file_reads_back_and_writes_the_same_bytes(contents, path):
    write_patch(path, contents)
    again = read_patch(path, shapes=make_patches.SHAPES, features=3)
    for field in ("task", "labels", "norm", "scores", "parity", "fingerprint"):
        assert getattr(again, field) == getattr(contents, field)
    assert encode_patch(again) == path.read_bytes()


def test_plain_safetensors_reads_every_tensor(contents, path):
    write_patch(path, contents)
    loaded = safetensors.numpy.load(path.read_bytes())
    assert set(loaded) == set(make_patches.TENSORS)
    for name, (shape, values) in make_patches.TENSORS.items():
        expected = np.float32(values).reshape(shape)
        assert loaded[name].tobytes() == expected.tobytes()
        assert loaded[name].shape == expected.shape


def test_empty_patch_is_a_head_alone(contents, path):
    for edits in ({}, {"replace": {}}, {"replace": {"stem/norm": {}}}):
        write_patch(path, dataclasses.replace(contents, edits=edits))
        assert read_patch(path).edits == {}


def test_size_is_the_files_by_part(contents, path):
    write_patch(path, contents)
    size = patch_size(contents)
    assert size.total == path.stat().st_size
    assert (size.head, size.statistics, size.edits) == (8 * 4, 2 * 4, 4 * 4)


def test_other_file_name_is_refused(contents, tmp_path):
    with pytest.raises(errors.FileNameError, match=r"other\.patch.*'tiny\.patch'"):
        write_patch(tmp_path / "other.patch", contents)
    assert not list(tmp_path.iterdir())


def test_too_large_patch_is_refused_before_it_is_written(contents, path, monkeypatch):
    monkeypatch.setattr(container, "FILE_LIMIT", 1000)
    with pytest.raises(errors.TooLargeError, match="at most 1000"):
        write_patch(path, contents)
    many = tuple(f"{'label' * 10} {index}" for index in range(20_000))
    wide = dataclasses.replace(
        contents,
        labels=many,
        parity=dataclasses.replace(contents.parity, logits=(0.5,) * len(many)),
        head={"w": np.ones((3, len(many)), np.float32), "b": np.ones(len(many), np.float32)},
    )
    with pytest.raises(errors.TooLargeError, match="the header has"):
        write_patch(path, wide)
    assert not path.exists()


def test_file_is_readable_by_all(contents, path):
    write_patch(path, contents)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
