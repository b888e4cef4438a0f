"""Who vouches for a patch: an Ed25519 signature (RFC 8032) in a file beside the patch's.

`TASK.patch.sig` is one line of ASCII:

    ed25519 PUBLIC_KEY SIGNATURE STATEMENT

the first two in lower-case hexadecimal, 64 and 128 digits. STATEMENT is canonical JSON (`release`)
with the sha256 of the whole patch file and the number of its release; signed are the bytes
`modelpatch release`, a line feed, and the statement. Signatures that were made before there were
releases have no statement: what they sign is the patch file itself, and they say no order. No
patch begins as a statement does, so neither passes for the other.

It lies beside the patch and not in it: the patch stays one file that any reader understands and the
same bytes whoever signs, so that a key can be replaced without exporting anything again; and all of
the file is vouched for, digest included, before one byte of it is interpreted. The public key says
which key to check with, and nothing of whether to trust it: only the reader's own set of keys does.
"""

import hashlib
import os
import pathlib
import re
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from adapters.store.errors import (
    BadSignatureError,
    MissingFileError,
    ReleaseError,
    TooLargeError,
    UnsignedError,
    UntrustedKeyError,
    naming,
)
from adapters.store.read import read_bytes
from adapters.store.release import Release, decode_release, encode_release
from adapters.store.trust import Trusted, TrustedKey

_LINE = re.compile(rb"ed25519 ([0-9a-f]{64}) ([0-9a-f]{128})(?: ([!-~]{1,1000}))?\n")
_SIZE = 2**11
_RELEASE = b"modelpatch release\n"


class Vouched(NamedTuple):
    """Who vouches for a patch, and as what.

    Attributes:
      key: that signed it.
      release: what its maker says of it; None of a signature that says nothing.
    """

    key: TrustedKey
    release: Release | None


def signature_path(path: str | os.PathLike[str]) -> pathlib.Path:
    """Where the signature of the patch file at `path` lies: `path` + `.sig`."""
    return pathlib.Path(f"{os.fspath(path)}.sig")


def sign(data: bytes, key: Ed25519PrivateKey, release: Release | None = None) -> bytes:
    """The content of the signature file for a patch whose bytes are `data`.

    The same arguments always give the same signature. Without a release it is the one that every
    version understands, and that a store takes only where no release was counted.
    """
    public = key.public_key().public_bytes_raw().hex()
    if release is None:
        return f"ed25519 {public} {key.sign(data).hex()}\n".encode("ascii")
    statement = encode_release(release, hashlib.sha256(data).hexdigest())
    signed = key.sign(_RELEASE + statement).hex()
    return f"ed25519 {public} {signed} ".encode("ascii") + statement + b"\n"


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


def verify(data: bytes, signature: bytes | None, trusted: Trusted) -> Vouched:
    """Who of `trusted` (`keys.read_trusted_keys`) vouches for the patch file `data`.

    Which tasks the key may sign for is not looked at, since nothing is interpreted yet.

    Raises UnsignedError without a signature, UntrustedKeyError for one by any other key,
    BadSignatureError for one that is not of these bytes, and ReleaseError for a release that is not
    understood.
    """
    if signature is None:
        raise UnsignedError("the patch has no signature")
    parts = _parts(signature)
    if parts.public not in trusted:
        raise UntrustedKeyError(
            f"the patch is signed with the unknown key {parts.public.hex()[:12]}"
        )
    key = trusted[parts.public]
    if not _signed(data, parts):
        raise BadSignatureError(f"the signature by {key} does not belong to these bytes")
    if parts.statement is None:
        return Vouched(key, None)
    return Vouched(key, decode_release(parts.statement)[0])


def belongs(data: bytes, signature: bytes) -> bool:
    """Whether the key that `signature` names, whosever it is, has signed `data`."""
    try:
        return _signed(data, _parts(signature))
    except (BadSignatureError, ReleaseError):
        return False


def stated_number(signature: bytes) -> int | None:
    """The number of the release that a signature states; whether it may is not asked."""
    try:
        statement = _parts(signature).statement
        return None if statement is None else decode_release(statement)[0].number
    except (BadSignatureError, ReleaseError):
        return None


class _Parts(NamedTuple):
    public: bytes
    signed: bytes
    statement: bytes | None


def _parts(signature: bytes) -> _Parts:
    """What the line is made of. Raises BadSignatureError."""
    line = _LINE.fullmatch(signature)
    if line is None:
        raise BadSignatureError("the signature is not `ed25519 PUBLIC_KEY SIGNATURE` in a line")
    public, signed = (bytes.fromhex(line[part].decode("ascii")) for part in (1, 2))
    return _Parts(public, signed, line[3])


def _signed(data: bytes, parts: _Parts) -> bool:
    """Whether the signature is of `data`, or of a statement about it. Raises ReleaseError."""
    message = data if parts.statement is None else _RELEASE + parts.statement
    try:
        Ed25519PublicKey.from_public_bytes(parts.public).verify(parts.signed, message)
    except InvalidSignature:
        return False
    if parts.statement is None:
        return True
    return decode_release(parts.statement)[1] == hashlib.sha256(data).hexdigest()
