"""Texts beside the groups of an HDF5 file, read from the file's bytes.

The library believes the length that a text states, and takes as much memory; a damaged one it may
read for ever. Layouts are those of the HDF5 File Format Specification 3.0: object headers of both
versions (IV.A.1), attribute messages (IV.A.2.m) and global heaps (III.E), with addresses of eight
bytes, as every file has that h5py writes.
"""

import struct
from collections.abc import Iterator

_LIMIT = 1 << 10  # bytes of a text
_BLOCKS = 16  # of an object header
_HEAP = 1 << 16  # bytes searched; a collection has 4,096
_CONTINUATION, _ATTRIBUTE = 0x10, 0x0C  # kinds of messages
_FIXED, _VARIABLE = 3, 9  # classes of types


def attribute_text(data: bytes, address: int, name: str) -> str | None:
    """The attribute `name` of the object whose header lies at `address`, if it is one short text.

    Raises struct.error, IndexError or UnicodeDecodeError where the file is damaged.
    """
    for content in _attributes(data, address):
        version, _, *sizes = struct.unpack_from("<BBHHH", content)
        place, parts = 9 if version == 3 else 8, []
        for size in sizes:
            parts.append(content[place : place + size])
            place += _padded(size) if version == 1 else size
        called, kind, space = parts
        if called.rstrip(b"\0") == name.encode() and space[1] == 0:  # of no axes
            found = _text(data, kind, content[place:])
            return None if found is None else found.decode()
    return None


def _text(data: bytes, kind: bytes, value: bytes) -> bytes | None:
    if kind[0] & 0x0F == _FIXED:
        (size,) = struct.unpack_from("<I", kind, 4)
        return value[:size].rstrip(b"\0") if size <= _LIMIT else None
    if kind[0] & 0x0F == _VARIABLE:
        length, heap, index = struct.unpack_from("<IQI", value)
        kept = _kept(data, heap, index)
        return kept[:length] if length <= _LIMIT and length <= len(kept) else None
    return None


def _kept(data: bytes, heap: int, index: int) -> bytes:
    """An object of a global heap; nothing where there is none."""
    (size,) = struct.unpack_from("<Q", data, heap + 8)
    place, end = heap + 16, heap + min(size, _HEAP)
    while data.startswith(b"GCOL", heap) and place < end:
        found, size = struct.unpack_from("<H6xQ", data, place)
        if found == index:
            return data[place + 16 : place + 16 + size]
        place += 16 + _padded(size)
    return b""


def _attributes(data: bytes, address: int) -> Iterator[bytes]:
    second = data.startswith(b"OHDR", address)
    if second:
        flags = data[address + 5]
        place = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(data[place : place + width], "little")
        blocks, layout = [(place + width, size)], "<BHx2x" if flags & 4 else "<BHx"
    else:
        (size,) = struct.unpack_from("<I", data, address + 8)
        blocks, layout = [(address + 16, size)], "<HH4x"
    step = struct.calcsize(layout)
    for place, size in blocks:
        end = min(place + size, len(data))
        while place + step <= end:
            kind, length = struct.unpack_from(layout, data, place)
            content = data[place + step : place + step + length]
            place += step + length
            if kind == _CONTINUATION and len(blocks) < _BLOCKS:
                start, size = struct.unpack_from("<QQ", content)
                # In the second version a block has a signature before it and a checksum behind.
                blocks.append((start + 4, size - 8) if second else (start, size))
            elif kind == _ATTRIBUTE:
                yield content


def _padded(size: int) -> int:
    return -(-size // 8) * 8
