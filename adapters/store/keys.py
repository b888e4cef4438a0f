"""Ed25519 keys as files: one private key to sign with, a set of public keys to trust.

A private key is PEM (PKCS #8), readable by its owner alone, and encrypted where it was made so. A
public key is PEM (SubjectPublicKeyInfo) or its 32 bytes as they are. OpenSSL reads and makes the
same files: `openssl genpkey -algorithm ed25519`, `openssl pkey -pubout`. Before a public key in PEM
may stand a line that says what whoever trusts it trusts it for, and comments:

    # from the shop
    tasks: digits, shop-*
"""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from adapters import files
from adapters.errors import ModelPatchError
from adapters.store import public_points
from adapters.store.errors import PatchFileError, shown
from adapters.store.read import read_bytes
from adapters.store.trust import Trusted, TrustedKey

_FILE_LIMIT = 2**14


class KeyFileError(ModelPatchError):
    """A key that cannot be read or made, or a set of trusted keys without any."""


def new_key(path: str | os.PathLike[str], passphrase: bytes | None = None) -> pathlib.Path:
    """Makes a key pair: the private key at `path`, and the public one at `path` + `.pub`, returned.

    With a passphrase the private key is encrypted.

    Raises KeyFileError where either is there already, and NotWrittenError; then neither is made.
    """
    private_path = pathlib.Path(path)
    public_path = private_path.with_name(private_path.name + ".pub")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for present in (private_path, public_path):
        if present.exists():
            raise KeyFileError(f"{present} exists already, and keys are never overwritten.")
    _write_new(private_path, private, 0o600)
    try:
        _write_new(public_path, public, 0o644)
    except BaseException:
        # Alone it would keep the next call from making a pair.
        with contextlib.suppress(OSError):
            private_path.unlink()
        raise
    return public_path


def read_private_key(
    path: str | os.PathLike[str], passphrase: Callable[[], bytes] | None = None
) -> Ed25519PrivateKey:
    """The private key in a PEM file.

    Args:
      path: of the file, which nobody but its owner may read.
      passphrase: asked where the key is encrypted.

    Raises KeyFileError.
    """
    data = _key_bytes(path)
    if b"PRIVATE KEY" in data and os.name == "posix" and os.stat(path).st_mode & 0o077:
        raise KeyFileError(
            f"{path} can be read by others, who could sign as you: make a new pair of keys, or, if "
            f"nobody has, chmod 600 {path}."
        )
    encrypted = b"ENCRYPTED" in data
    if encrypted and passphrase is None:
        raise KeyFileError(f"{path} is encrypted: give its passphrase.")
    try:
        secret = passphrase() if encrypted and passphrase is not None else None
        key = serialization.load_pem_private_key(data, password=secret)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise KeyFileError(
            f"{path} is not opened by this passphrase."
            if encrypted
            else f"{path} holds no private key in PEM; make a new pair of keys."
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is no Ed25519 key; make a new pair of keys.")
    return key


def read_public_key(path: str | os.PathLike[str]) -> bytes:
    """The 32 bytes of the public key in a file, PEM or raw.

    Raises KeyFileError, also for a point that anybody could sign with (`public_points`).
    """
    return _public_key(path, _key_bytes(path))


def _public_key(path: str | os.PathLike[str], data: bytes) -> bytes:
    raw = data if len(data) == public_points.SIZE else _from_pem(path, data)
    if not public_points.is_public_point(raw):
        raise KeyFileError(
            f"{path} holds 32 bytes that are nobody's public key; trust one of a pair made here."
        )
    return raw


def read_trusted_keys(paths: Iterable[str | os.PathLike[str]]) -> Trusted:
    """The trusted set of files of public keys and folders of them, each for the tasks it names.

    Every file of a folder must be a public key, but for names that begin with a dot. Raises
    KeyFileError for one that is not, for one key with two lists of tasks, and for a set without any
    key: that would trust nobody.
    """
    named = [pathlib.Path(path) for path in paths]
    keys: dict[bytes, TrustedKey] = {}
    for path in named:
        for file in _files_of(path) if path.is_dir() else [path]:
            data = _key_bytes(file)
            public = _public_key(file, data)
            found = TrustedKey(str(file), _tasks(file, data))
            known = keys.setdefault(public, found)
            if known.tasks != found.tasks:
                raise KeyFileError(
                    f"{known} and {found} hold the same key, for other tasks: keep one of them."
                )
    if not keys:
        listed = ", ".join(map(str, named)) or "no path"
        raise KeyFileError(f"there is no public key to trust in {listed}; put one there.")
    return keys


def _tasks(path: pathlib.Path, data: bytes) -> tuple[str, ...] | None:
    """The tasks that a key's file names before the key; None where it names none."""
    if len(data) == public_points.SIZE:
        return None
    before = data.partition(b"-----BEGIN")[0].decode("utf-8", "replace")
    said = [line for line in map(str.strip, before.splitlines()) if line and line[0] != "#"]
    if not said:
        return None
    names = tuple(name.strip() for name in said[0].removeprefix("tasks:").split(","))
    if len(said) > 1 or not said[0].startswith("tasks:") or not all(names):
        raise KeyFileError(
            f"{path} says {shown(said[-1])} before its key, where only one line `tasks: NAME, "
            "NAME*` may stand, and comments after #."
        )
    return names


def _from_pem(path: str | os.PathLike[str], data: bytes) -> bytes:
    if b"PRIVATE KEY" in data:
        raise KeyFileError(
            f"{path} is a private key. Keep it where you sign, and trust its public half, "
            f"{path}.pub."
        )
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(
            f"{path} holds no public key, neither in PEM nor as {public_points.SIZE} bytes."
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path} is no Ed25519 key; trust one of a pair made here.")
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _files_of(folder: pathlib.Path) -> list[pathlib.Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise KeyFileError(f"{folder} cannot be read: {error.strerror}.") from error


def _key_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        return read_bytes(path, _FILE_LIMIT)
    except PatchFileError as error:
        raise KeyFileError(f"{path} does not serve as a key: {error.reason}.") from error


def _write_new(path: pathlib.Path, data: bytes, mode: int) -> None:
    """Writes a file that was not there; never any other."""
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            raise KeyFileError(f"{path} exists already, and keys are never overwritten.") from None
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            files.sync_directory(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
