"""Who signed a text: a line of ASCII with a key, an Ed25519 signature (RFC 8032) and that text.

    ed25519 PUBLIC_KEY SIGNATURE STATEMENT

The first two are lower-case hexadecimal, 64 and 128 digits. What is signed is the statement below a
line that says of what kind it is, so that none passes for one of another kind.
"""

import re
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from adapters.store.errors import BadSignatureError

_LINE = re.compile(rb"ed25519 ([0-9a-f]{64}) ([0-9a-f]{128})(?: ([!-~][ -~]*))?\n")


class SignedLine(NamedTuple):
    """What such a line holds; `statement` is None in one that signs what is not in it."""

    public: bytes
    signed: bytes
    statement: bytes | None

    def is_of(self, message: bytes) -> bool:
        """Whether the key that is named, whosever it is, has signed `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(self.signed, message)
        except InvalidSignature:
            return False
        return True


def signed_line(message: bytes, statement: bytes | None, key: Ed25519PrivateKey) -> bytes:
    """The line in which `key` signs `message`, with the statement where there is one."""
    parts = [b"ed25519", _hexadecimal(key.public_key().public_bytes_raw())]
    parts.append(_hexadecimal(key.sign(message)))
    return b" ".join([*parts, *([] if statement is None else [statement])]) + b"\n"


def read_line(line: bytes) -> SignedLine:
    """What a line holds; nothing of it is checked. Raises BadSignatureError for another text."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadSignatureError("the signature is not `ed25519 PUBLIC_KEY SIGNATURE` in a line")
    public, signed = (bytes.fromhex(found[part].decode("ascii")) for part in (1, 2))
    return SignedLine(public, signed, found[3])


def _hexadecimal(data: bytes) -> bytes:
    return data.hex().encode("ascii")
