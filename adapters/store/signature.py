"""Who vouches for a patch: an Ed25519 signature (RFC 8032) in a file beside the patch's.

`TASK.patch.sig` is one line of ASCII:

    ed25519 PUBLIC_KEY SIGNATURE STATEMENT

as `signed_line` has it. STATEMENT is canonical JSON (`release`)
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
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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
from adapters.store.signed_line import SignedLine, read_line, signed_line
from adapters.store.trust import Trusted, TrustedKey

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
    if release is None:
        return signed_line(data, None, key)
    statement = encode_release(release, hashlib.sha256(data).hexdigest())
    return signed_line(_RELEASE + statement, statement, key)


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


def _parts(signature: bytes) -> SignedLine:
    if len(signature) > _SIZE:  # a store keeps it with what it remembers of a task
        raise BadSignatureError("the signature is too long")
    return read_line(signature)


def _signed(data: bytes, line: SignedLine) -> bool:
    """Whether the signature is of `data`, or of a statement about it. Raises ReleaseError."""
    if line.statement is None:
        return line.is_of(data)
    if not line.is_of(_RELEASE + line.statement):
        return False
    return decode_release(line.statement)[1] == hashlib.sha256(data).hexdigest()
