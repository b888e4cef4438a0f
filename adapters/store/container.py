"""The bytes around a patch: a safetensors file that can be spelled in only one way.

    8 bytes             length of the header, little-endian
    header              canonical JSON, then spaces up to a multiple of 8 bytes
    tensors             little-endian, in the order of their names, without gaps

The header maps `__metadata__` to `{"modelpatch": CARD}`, CARD being canonical JSON in a string
(one key, because the order of several is not defined), and each tensor's name to its dtype, shape
and place. Names, dtypes and shapes decide every offset, so with the card they decide every byte of
the header.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, TypeGuard

from adapters.store import canonical_json
from adapters.store.encoding import DTYPES, Storage
from adapters.store.errors import HeaderError, NotPatchError, TooLargeError, TruncatedError, shown

FILE_LIMIT = 64 * 2**20
HEADER_LIMIT = 2**20
LENGTH_SIZE = 8
DIGEST_FIELD = "sha256"
NO_DIGEST = "0" * 64
_ALIGNMENT = 8
_LEAST_SIGNS, _BYTES_PER_SIGN = 2048, 32
_METADATA = "__metadata__"
_KEY = "modelpatch"


def encode_header(card: Mapping[str, Any], layout: Mapping[str, Storage]) -> bytes:
    """All bytes before the tensors `{name: storage}`, the length included.

    Raises TooLargeError when they are more than any reader accepts.
    """
    header: dict[str, Any] = {_METADATA: {_KEY: canonical_json.encode(card).decode("ascii")}}
    end = 0
    for name, storage in sorted(layout.items()):
        header[name] = _entry(storage, end)
        end += storage.size
    text = canonical_json.encode(header)
    text += b" " * (-len(text) % _ALIGNMENT)
    _check_size("header", len(text), HEADER_LIMIT)
    return len(text).to_bytes(LENGTH_SIZE, "little") + text


def header_length(prefix: bytes, file_size: int) -> int:
    """The header's length that the first 8 bytes of a file of `file_size` bytes give.

    Raises TruncatedError, HeaderError or TooLargeError.
    """
    if len(prefix) < LENGTH_SIZE:
        raise TruncatedError(f"the file has {file_size} bytes, too few for a header")
    length = int.from_bytes(prefix, "little")
    if length > HEADER_LIMIT:
        raise NotPatchError(
            f"this is no patch file: the header has {length} bytes if it is read as one, at most "
            f"{HEADER_LIMIT} are allowed"
        )
    if length % _ALIGNMENT or not length:
        raise HeaderError(f"the header's length {length} is not a multiple of {_ALIGNMENT}")
    if LENGTH_SIZE + length > file_size:
        raise TruncatedError(f"the header needs {length} bytes, the file has {file_size}")
    return length


def check_file_size(size: int, limit: int) -> None:
    """Raises TooLargeError when a file of `size` bytes has more than `limit`."""
    _check_size("file", size, limit)


def check_density(header: bytes, file_size: int) -> None:
    """Raises TooLargeError when a header describes more than a file of `file_size` bytes may.

    Parsed, a value of JSON takes some hundred bytes where it was spelled in two or three. This
    count, made before parsing, keeps the memory of a reader below ten times the file's size and a
    quarter of a megabyte. Hundreds of tensors of some dozen numbers each are within it.
    """
    found = sum(header.count(sign) for sign in (b",", b":", b"[", b"{"))
    allowed = _LEAST_SIGNS + file_size // _BYTES_PER_SIGN
    if found > allowed:
        raise TooLargeError(
            f"the header describes too much for a file of {file_size} bytes: its JSON has {found} "
            f"signs of structure, at most {allowed} are allowed"
        )


def decode_header(header: bytes, file_size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The card, and the tensors' entries, of a header without its length.

    Raises TooLargeError, JSONError, DuplicateKeyError, NotCanonicalError or HeaderError.
    """
    check_density(header, file_size)
    size = len(header)
    header = header.rstrip(b" ")
    if size - len(header) >= _ALIGNMENT:
        raise HeaderError("the header is padded by more spaces than needed")
    entries = canonical_json.decode(header)
    # Not kept while the card is parsed: one character beyond 16 bits makes a text of the card take
    # four bytes for each, and twice that until it has been read.
    del header
    metadata = entries.pop(_METADATA, None) if isinstance(entries, dict) else None
    if not isinstance(metadata, dict) or set(metadata) != {_KEY}:
        raise HeaderError(f"this is no patch: its metadata is not the one key {_KEY!r}")
    if not isinstance(metadata[_KEY], str):
        raise HeaderError(f"the metadata {_KEY!r} is not a text")
    card = canonical_json.decode(metadata.pop(_KEY))
    if not isinstance(card, dict):
        raise HeaderError(f"the metadata {_KEY!r} is not a JSON object")
    return card, entries


def tensor_layout(entries: Mapping[str, Any]) -> dict[str, Storage]:
    """How each tensor is stored, by name in the file's order.

    Raises HeaderError for a dtype that no encoding uses, and any place but the one that follows
    from the tensors before.
    """
    layout: dict[str, Storage] = {}
    end = 0
    for name, entry in sorted(entries.items()):
        place = entry if isinstance(entry, dict) else {}
        shape, offsets = place.get("shape"), place.get("data_offsets")
        if not _are_integers(shape) or not _are_integers(offsets) or min(shape, default=1) < 1:
            raise HeaderError(f"the tensor {shown(name)} has no shape and place of whole numbers")
        dtype = place.get("dtype")
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise HeaderError(
                f"the tensor {shown(name)} is {shown(dtype)}, none of {', '.join(DTYPES)}"
            )
        layout[name] = Storage(dtype, tuple(shape))
        begin, end = end, end + layout[name].size
        if entry != _entry(layout[name], begin):
            raise HeaderError(
                f"the tensor {shown(name)} is not {dtype} at bytes {begin} to {end} after the "
                "header"
            )
    return layout


def digest(card: Mapping[str, Any], layout: Mapping[str, Storage], data: bytes) -> str:
    """sha256 over the whole file, the digest's own field in `card` read as 64 zeros."""
    hashed = hashlib.sha256(encode_header({**card, DIGEST_FIELD: NO_DIGEST}, layout))
    hashed.update(data)
    return hashed.hexdigest()


def _entry(storage: Storage, begin: int) -> dict[str, Any]:
    offsets = [begin, begin + storage.size]
    return {"data_offsets": offsets, "dtype": storage.dtype, "shape": list(storage.shape)}


def _are_integers(value: Any) -> TypeGuard[list[int]]:
    # Exactly int: True == 1 and 1.0 == 1, but they are spelled otherwise.
    return isinstance(value, list) and all(type(item) is int for item in value)


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise TooLargeError(f"the {what} has {size} bytes, at most {limit} are allowed")
