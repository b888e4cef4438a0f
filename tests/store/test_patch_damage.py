"""Whatever happens to a patch file's bytes, reading gives a typed error or the patch itself."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.store import errors
from adapters.store.encoding import ENCODINGS
from adapters.store.read import read_patch
from adapters.store.write import encode_patch
from tests.store import every_kind

# Each example rewrites the one file, and a shared machine may stall for longer than any deadline.
_MANY = settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_every_truncation_is_refused(good, path):
    path.write_bytes(good)
    for size in reversed(range(len(good))):
        with open(path, "r+b") as file:
            file.truncate(size)
        with pytest.raises(errors.PatchFileError):
            read_patch(path)


def test_every_flipped_bit_is_refused(good, path):
    path.write_bytes(good)
    accepted = []
    with open(path, "r+b", buffering=0) as file:
        for position, byte in enumerate(good):
            for bit in range(8):
                file.seek(position)
                file.write(bytes([byte ^ 1 << bit]))
                try:
                    read_patch(path)
                except errors.PatchFileError:
                    continue
                accepted.append((position, bit))
            file.seek(position)
            file.write(bytes([byte]))
    assert not accepted
    assert read_patch(path).task == "tiny"


@_MANY
@given(data=st.data())
def test_every_splice_is_refused(good, path, data):
    begin = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(begin, len(good)))
    spliced = good[:begin] + data.draw(st.binary(max_size=64)) + good[end:]
    path.write_bytes(spliced)
    if spliced == good:
        assert read_patch(path).task == "tiny"
    else:
        with pytest.raises(errors.PatchFileError):
            read_patch(path)


@_MANY
@given(content=st.binary(max_size=200))
def test_noise_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(errors.PatchFileError):
        read_patch(path)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_kind_and_encoding_survives_no_damage(contents, path, encoding):
    """Each truncation, each flipped bit of the tensors, and one of each byte before them."""
    good = encode_patch(every_kind.encoded(contents, encoding))
    path.write_bytes(good)
    begin = 8 + int.from_bytes(good[:8], "little")
    with open(path, "r+b", buffering=0) as file:
        for position in range(len(good)):
            for bit in range(8) if position >= begin else [position % 8]:
                file.seek(position)
                file.write(bytes([good[position] ^ 1 << bit]))
                with pytest.raises(errors.PatchFileError):
                    read_patch(path)
            file.seek(position)
            file.write(good[position : position + 1])
        assert read_patch(path).encoding == encoding
        for size in reversed(range(len(good))):
            file.truncate(size)
            with pytest.raises(errors.PatchFileError):
                read_patch(path)
