"""Small files that a store keeps for itself: canonical JSON below its own sha256.

The sha256 is there against damage: one flipped bit must not give another value.
"""

import hashlib
from typing import Any

from adapters.store import canonical_json
from adapters.store.errors import DigestError

_LINE_SIZE = 64 + 1


def seal(value: Any) -> bytes:
    """The file's bytes: the sha256 of what follows, a line feed, and canonical JSON."""
    text = canonical_json.encode(value)
    return _line(text) + text


def unseal(data: bytes) -> Any:
    """The value whose file holds `data`. Raises DigestError, or what `canonical_json` raises."""
    line, text = data[:_LINE_SIZE], data[_LINE_SIZE:]
    if line != _line(text):
        raise DigestError("its sha256 is not that of its content")
    return canonical_json.decode(text)


def _line(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode("ascii") + b"\n"
