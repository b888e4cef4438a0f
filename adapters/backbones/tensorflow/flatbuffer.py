"""FlatBuffers, as far as a LiteRT graph is written with them: tables whose fields are numbered.

A table begins with how far before it its list of fields lies; that list says where each field is,
or 0 for one that was left out. https://flatbuffers.dev/internals describes it. Whatever reaches
past the end is damage, and no list is longer than the file.
"""

import dataclasses
import struct
from typing import Any

import numpy as np

from adapters.backbones.tensorflow.error import TensorFlowFileError


@dataclasses.dataclass(frozen=True)
class Table:
    """A table in `data`, which begins at `place`. All it gives raises TensorFlowFileError."""

    data: bytes
    place: int

    def number(self, field: int, kind: str) -> int:
        """An integer, by its `struct` letter; 0 where it was left out."""
        at = self._at(field)
        return _read(self.data, at, kind) if at else 0

    def numbers(self, field: int, dtype: str) -> np.ndarray:
        """A list of numbers of that type; empty where it was left out."""
        start, count = self._list(field)
        kept = np.dtype(dtype)
        if count * kept.itemsize > len(self.data) - start:
            raise _damaged()
        return np.frombuffer(self.data, kept, count, start)

    def text(self, field: int) -> str:
        """A text; empty where it was left out."""
        return self.numbers(field, "u1").tobytes().decode("latin-1")

    def tables(self, field: int) -> list["Table"]:
        """A list of tables; empty where it was left out."""
        start, count = self._list(field)
        if 4 * count > len(self.data) - start:
            raise _damaged()
        places = range(start, start + 4 * count, 4)
        return [Table(self.data, place + _read(self.data, place, "I")) for place in places]

    def _list(self, field: int) -> tuple[int, int]:
        at = self._at(field)
        if not at:
            return 0, 0
        start = at + _read(self.data, at, "I")
        return start + 4, _read(self.data, start, "I")

    def _at(self, field: int) -> int:
        """Where a field is; 0 where it was left out."""
        fields = self.place - _read(self.data, self.place, "i")
        entry = 4 + 2 * field
        if entry >= _read(self.data, fields, "H"):
            return 0
        offset = _read(self.data, fields + entry, "H")
        return self.place + offset if offset else 0


def root(data: bytes) -> Table:
    """The table that a file is. Raises TensorFlowFileError."""
    return Table(data, _read(data, 0, "I"))


def _read(data: bytes, place: int, kind: str) -> Any:
    try:
        if place < 0:
            raise _damaged()
        return struct.unpack_from(f"<{kind}", data, place)[0]
    except struct.error as error:
        raise _damaged() from error


def _damaged() -> TensorFlowFileError:
    return TensorFlowFileError("the graph is damaged or cut short: fetch it anew.")
