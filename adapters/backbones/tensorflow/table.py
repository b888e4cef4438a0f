"""LevelDB's table of sorted keys and values, which TensorFlow keeps a checkpoint's index in.

A table is blocks, each followed by one byte for its compression and a checksum, and a footer of 48
bytes that says where the block lies whose values say where the others are. Within a block a key is
written as how much it shares with the one before, and the rest. Described in LevelDB's
doc/table_format.md; TensorFlow's is in tensorflow/core/lib/io.
"""

from collections.abc import Iterator

from adapters.backbones.tensorflow import checksum
from adapters.backbones.tensorflow.error import TensorFlowFileError

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
"""What every table ends with."""

_FOOTER = 48
_TRAILER = 5  # compression, checksum
_KEYS_LIMIT = 1 << 26  # bytes of all keys: sharing lets a small file ask for huge ones
_ENTRIES_LIMIT = 1 << 16  # a training run's variables are some thousands
_DAMAGED = "the index is damaged: fetch the checkpoint anew."


def read_table(data: bytes) -> dict[bytes, bytes]:
    """Gives every value by its key, in the table's order.

    Raises TensorFlowFileError when a checksum or an address is wrong, or a block is compressed,
    which TensorFlow's never are.
    """
    if len(data) < _FOOTER or not data.endswith(MAGIC):
        raise TensorFlowFileError(
            "the index does not end as TensorFlow's do: it is cut short or something else."
        )
    footer = _Reader(data[-_FOOTER:])
    footer.address()  # of the block about filters, which TensorFlow leaves empty
    found: dict[bytes, bytes] = {}
    total, last = 0, None
    for _, place in _entries(_block(data, *footer.address())):
        for key, value in _entries(_block(data, *_Reader(place).address())):
            total += len(key)
            if (last is not None and key <= last) or total > _KEYS_LIMIT:
                raise TensorFlowFileError(f"keys are out of order or too long; {_DAMAGED}")
            if len(found) == _ENTRIES_LIMIT:
                raise TensorFlowFileError(f"the index has more than {_ENTRIES_LIMIT} entries.")
            found[key] = value
            last = key
    return found


def _block(data: bytes, start: int, size: int) -> bytes:
    stored = data[start : start + size + _TRAILER]
    if start + size + _TRAILER > len(data) - _FOOTER:
        raise TensorFlowFileError(f"a block reaches past the end; {_DAMAGED}")
    compressed, crc = stored[size], int.from_bytes(stored[size + 1 :], "little")
    if checksum.masked(stored[: size + 1]) != crc:
        raise TensorFlowFileError(f"a block has not its checksum; {_DAMAGED}")
    if compressed:
        raise TensorFlowFileError(
            "the index is compressed, which TensorFlow's own are not: load it with TensorFlow "
            "and save it again with tf.compat.v1.train.Saver."
        )
    return stored[:size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; the restarts at its end only speed up a search."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise TensorFlowFileError(f"a block has no room for its restarts; {_DAMAGED}")
    reader, key = _Reader(block[:end]), b""
    while reader.left:
        shared, unshared, size = reader.number(), reader.number(), reader.number()
        if shared > len(key):
            raise TensorFlowFileError(f"a key shares more than there is; {_DAMAGED}")
        key = key[:shared] + reader.bytes(unshared)
        yield key, reader.bytes(size)


class _Reader:
    """Takes numbers and bytes from the front of `data`."""

    def __init__(self, data: bytes):
        self._data, self._place = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._place

    def bytes(self, count: int) -> bytes:
        if count > self.left:
            raise TensorFlowFileError(f"an entry reaches past its block; {_DAMAGED}")
        self._place += count
        return self._data[self._place - count : self._place]

    def number(self) -> int:
        """Seven bits a byte, the lowest first; the highest bit says that more follow."""
        value = 0
        for shift in range(0, 64, 7):
            (byte,) = self.bytes(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise TensorFlowFileError(f"a number has more than 64 bits; {_DAMAGED}")

    def address(self) -> tuple[int, int]:
        """Where a block starts, and its size."""
        return self.number(), self.number()
