"""Who vouches for a patch: an Ed25519 signature (RFC 8032) over the file's bytes, beside the file.

`TASK.patch.sig` is one line of ASCII:

    ed25519 PUBLIC_KEY SIGNATURE

both in lower-case hexadecimal, 64 and 128 digits. It lies beside the patch and not in it: the patch
stays one file that any reader understands and the same bytes whoever signs, so that a key can be
replaced without exporting anything again; and what is signed is all of the file, digest included,
before one byte of it is interpreted. The public key says which key to check with, and nothing of
whether to trust it: only the reader's own set of keys does.
"""

import os
import pathlib
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from adapters.store.errors import (
    BadSignatureError,
    MissingFileError,
    TooLargeError,
    UnsignedError,
    UntrustedKeyError,
    naming,
)
from adapters.store.read import read_bytes

_LINE = re.compile(rb"ed25519 ([0-9a-f]{64}) ([0-9a-f]{128})\n")
_SIZE = len("ed25519 ") + 64 + len(" ") + 128 + len("\n")


def signature_path(path: str | os.PathLike[str]) -> pathlib.Path:
    """Where the signature of the patch file at `path` lies: `path` + `.sig`."""
    return pathlib.Path(f"{os.fspath(path)}.sig")


def sign(data: bytes, key: Ed25519PrivateKey) -> bytes:
    """The content of the signature file for a patch whose bytes are `data`.

    The same key and bytes always give the same signature.
    """
    public = key.public_key().public_bytes_raw()
    return f"ed25519 {public.hex()} {key.sign(data).hex()}\n".encode("ascii")


def read_signature(path: str | os.PathLike[str]) -> bytes | None:
    """The content of the signature file of the patch at `path`; None where there is no such file.

    Raises BadSignatureError for a file too large to be one, UnreadableFileError or
    NotRegularFileError.
    """
    beside = signature_path(path)
    try:
        return read_bytes(beside, _SIZE)
    except MissingFileError:
        return None
    except TooLargeError as error:
        with naming(beside):
            raise BadSignatureError("this is no signature of a patch") from error


def verify(data: bytes, signature: bytes | None, trusted: Mapping[bytes, str]) -> str:
    """The file of the key that signed `data`, by `keys.read_trusted_keys`' `{public key: file}`.

    Raises UnsignedError without a signature, UntrustedKeyError for one by any other key, and
    BadSignatureError for one that is not of these bytes.
    """
    if signature is None:
        raise UnsignedError("the patch has no signature")
    public, signed = _parts(signature)
    if public not in trusted:
        raise UntrustedKeyError(f"the patch is signed with the unknown key {public.hex()[:12]}")
    if not _signed(data, public, signed):
        raise BadSignatureError(
            f"the signature by {trusted[public]} does not belong to these bytes"
        )
    return trusted[public]


def belongs(data: bytes, signature: bytes) -> bool:
    """Whether the key that `signature` names, whosever it is, has signed `data`."""
    try:
        return _signed(data, *_parts(signature))
    except BadSignatureError:
        return False


def _parts(signature: bytes) -> tuple[bytes, bytes]:
    """The public key and the signature proper. Raises BadSignatureError."""
    line = _LINE.fullmatch(signature)
    if line is None:
        raise BadSignatureError("the signature is not `ed25519 PUBLIC_KEY SIGNATURE` in a line")
    public, signed = (bytes.fromhex(part.decode("ascii")) for part in line.groups())
    return public, signed


def _signed(data: bytes, public: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed, data)
    except InvalidSignature:
        return False
    return True
