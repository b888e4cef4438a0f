"""Reads a patch, trusting nothing in it: checks run from cheap to dear, and before allocating."""

import contextlib
import dataclasses
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from adapters.store import container, encoding, schema, tensors
from adapters.store.contents import PatchCard, PatchContents, check_head
from adapters.store.edit_shapes import check_padding, check_parts, check_shapes
from adapters.store.encoding import Storage
from adapters.store.errors import (
    DigestError,
    FingerprintError,
    HeaderError,
    MissingFileError,
    NotRegularFileError,
    ShapeMismatchError,
    TruncatedError,
    UnreadableFileError,
    naming,
)
from adapters.store.kinds import Array, EditShapes, Shape


def read_patch(
    path: str | os.PathLike[str],
    *,
    shapes: Mapping[str, Mapping[str, Shape]] | None = None,
    features: int | None = None,
    fingerprint: str | None = None,
    check_parity: Callable[[PatchContents], None] | None = None,
    size_cap: int = container.FILE_LIMIT,
) -> PatchContents:
    """The contents of the patch file at `path`, once they have passed every check.

    With a path alone, all that the file can prove by itself is checked: what inspecting it needs.
    To use the patch, pass the backbone's side too. Arrays of the result are read-only.

    Args:
      path: of a regular file, read once.
      shapes: `{module: {leaf: shape}}` of the backbone; an edit of any other leaf is refused.
      features: the width of what the backbone gives the head, `[features]`.
      fingerprint: of the backbone's weights.
      check_parity: called last; runs the patched network on the parity image and raises
        ParityError (see `adapters.store.parity.check_logits`).
      size_cap: the largest file accepted, in bytes.

    Raises a PatchFileError (`adapters.store.errors` has one class for each reason), in this order:
    the file itself, its size, header, JSON, schema, encoding, shapes, digest, scales, finite
    values, their one spelling, masks' last bits, fingerprint, parity. Until the digest's turn only
    the header has been read, and at most 1 MiB of it.
    """
    with naming(path):
        with _opened(path) as (file, size):
            parts = _read(file, size, shapes, features, size_cap)
        return _checked(parts, shapes, fingerprint, check_parity)


def decode_patch(
    data: bytes,
    *,
    shapes: Mapping[str, Mapping[str, Shape]] | None = None,
    features: int | None = None,
    fingerprint: str | None = None,
    check_parity: Callable[[PatchContents], None] | None = None,
) -> PatchContents:
    """The contents of the patch file whose bytes are `data`, checked as `read_patch` checks them.

    For who must be sure that the bytes checked are the bytes used: a file may change in between.
    The errors name no path.
    """
    parts = _read(io.BytesIO(data), len(data), shapes, features, container.FILE_LIMIT)
    return _checked(parts, shapes, fingerprint, check_parity)


def read_bytes(path: str | os.PathLike[str], size_cap: int = container.FILE_LIMIT) -> bytes:
    """The bytes of the regular file at `path`, read once, of at most `size_cap`; none is checked.

    Raises MissingFileError, NotRegularFileError, UnreadableFileError or TooLargeError.
    """
    with naming(path), _opened(path) as (file, size):
        container.check_file_size(size, size_cap)
        return file.read(size)


class _Parts(NamedTuple):
    """What `_read` found: the card, as JSON and decoded, and the tensors' places and bytes."""

    value: dict[str, Any]
    card: PatchCard
    layout: dict[str, Storage]
    data: bytes


def _read(
    file: BinaryIO,
    size: int,
    shapes: Mapping[str, Mapping[str, Shape]] | None,
    features: int | None,
    size_cap: int,
) -> _Parts:
    """Every check that needs the header alone; only then the tensors are read."""
    container.check_file_size(size, size_cap)
    length = container.header_length(file.read(container.LENGTH_SIZE), size)
    value, entries = container.decode_header(file.read(length), size)
    schema.check_version(value)
    layout = container.tensor_layout(entries)
    data_size = _data_size(layout, size - container.LENGTH_SIZE - length)
    edit_shapes, head_shapes = tensors.unflatten(_shapes(layout))
    card = schema.decode_card(value)
    check_head(card, head_shapes)
    schema.check_agreement(value, edit_shapes, head_shapes)
    check_parts(edit_shapes)
    encoding.check_layout(layout, card.encoding)
    _check_fit(edit_shapes, head_shapes, shapes, features)
    return _Parts(value, card, layout, file.read(data_size))


def _checked(
    parts: _Parts,
    shapes: Mapping[str, Mapping[str, Shape]] | None,
    fingerprint: str | None,
    check_parity: Callable[[PatchContents], None] | None,
) -> PatchContents:
    """The contents, after every check that needs the tensors."""
    value, card, layout, data = parts
    _check_digest(value, layout, data)
    stored = _arrays(layout, data)
    named = encoding.decode(stored)
    edits, head = tensors.unflatten(named)
    fields = {field.name: getattr(card, field.name) for field in dataclasses.fields(card)}
    contents = PatchContents(**fields, edits=edits, head=head)
    encoding.check_canonical(stored, named, card.encoding)
    if shapes is not None:
        check_padding(edits, shapes)
    if fingerprint is not None and fingerprint != contents.fingerprint:
        raise FingerprintError(
            f"the patch is for {contents.backbone} {contents.fingerprint[:12]}, the backbone "
            f"here is {fingerprint[:12]}"
        )
    if check_parity is not None:
        check_parity(contents)
    return contents


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, int]]:
    """The regular file at `path` and its size, both of the one descriptor that is read."""
    # Opening a pipe would wait for its writer, were it not for O_NONBLOCK.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError("there is no such file") from None
    except (OSError, ValueError) as error:
        raise UnreadableFileError(f"the file cannot be opened ({error})") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotRegularFileError("this is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            yield file, status.st_size
    except OSError as error:
        raise UnreadableFileError(f"the file cannot be read ({error})") from error
    finally:
        os.close(descriptor)


def _shapes(layout: Mapping[str, Storage]) -> dict[str, Shape]:
    """The shapes of edits and head; not of their scales, which follow from these."""
    return {n: s.shape for n, s in layout.items() if not n.startswith(tensors.SCALE)}


def _data_size(layout: Mapping[str, Storage], found: int) -> int:
    needed = sum(storage.size for storage in layout.values())
    if found < needed:
        raise TruncatedError(f"the tensors need {needed} bytes, the file has {found}")
    if found > needed:
        raise HeaderError(f"{found - needed} bytes follow the last tensor")
    return needed


def _check_fit(
    edits: EditShapes,
    head: Mapping[str, Shape],
    shapes: Mapping[str, Mapping[str, Shape]] | None,
    features: int | None,
) -> None:
    if shapes is not None:
        check_shapes(edits, shapes)
    if features is not None and "w" in head and head["w"][0] != features:
        raise ShapeMismatchError(
            f"the head takes {head['w'][0]} features, the backbone gives {features}"
        )


def _check_digest(card: Mapping[str, Any], layout: Mapping[str, Storage], data: bytes) -> None:
    found = container.digest(card, layout, data)
    stored = schema.stored_digest(card)
    if found != stored:
        raise DigestError(f"the file's sha256 is {found[:12]}..., it says {stored[:12]!r}...")


def _arrays(layout: Mapping[str, Storage], data: bytes) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    offset = 0
    for name, storage in layout.items():
        # A slice of its own, since a tensor of bytes may put the next one at an odd place.
        part = data[offset : offset + storage.size]
        dtype = np.dtype(encoding.DTYPES[storage.dtype])
        flat = np.frombuffer(part, dtype).astype(dtype.newbyteorder("="), copy=False)
        arrays[name] = flat.reshape(storage.shape)
        offset += storage.size
    return arrays
