"""Who vouches for all files of a folder: one signature over their names and sums.

`folder.sig`, in the folder itself, is a line as `signed_line` has it. Its statement is canonical
JSON, `{"files": {NAME: SHA256}}`, of every file but itself, whatever it is called; names are paths
from the folder on, with `/`. What is signed is `modelpatch folder`, a line feed, and the statement.

After the manifests of OpenSSF Model Signing (https://github.com/ossf/model-signing-spec): every
file counts, an unlisted one is as wrong as a missing one, and nothing but plain files in plain
folders is signed. What it has besides (certificates, Sigstore, lists of files that do not count,
links that are followed) is left out here.
"""

import hashlib
import os
import pathlib
import re
import stat
from collections.abc import Iterator, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.store import canonical_json
from adapters.store.errors import (
    BadSignatureError,
    ChangedFolderError,
    MissingFileError,
    NotDelegatedError,
    PatchFileError,
    UnsignedFolderError,
    UntrustedKeyError,
    naming,
    shown,
)
from adapters.store.read import read_bytes
from adapters.store.signed_line import read_line, signed_line
from adapters.store.trust import Trusted, TrustedKey

NAME = "folder.sig"
# Windows has neither, and no links that anybody may make; waiting is for pipes.
_READING = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_KIND = b"modelpatch folder\n"
_LIMIT = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sign_folder(folder: str | os.PathLike[str], key: Ed25519PrivateKey) -> bytes:
    """The content of the signature file of a folder; the same files and key give the same.

    Raises ChangedFolderError for a folder that holds no file, or something that is no plain file.
    """
    files = _files(pathlib.Path(folder))
    if not files:
        raise ChangedFolderError(f"{os.fspath(folder)} holds no file")
    statement = canonical_json.encode({"files": files})
    return signed_line(_KIND + statement, statement, key)


def check_folder(folder: str | os.PathLike[str], trusted: Trusted) -> TrustedKey:
    """The key that vouches for all that a folder holds, and for nothing less.

    Raises UnsignedFolderError, UntrustedKeyError, BadSignatureError, NotDelegatedError for a key
    that is trusted for some tasks alone, and ChangedFolderError, which names a file.
    """
    root = pathlib.Path(folder)
    key, listed = _vouched(root, trusted)
    found = _files(root)
    for name in sorted({*listed, *found}):
        if name not in found:
            raise ChangedFolderError(f"{root} lacks {shown(name)}, which was signed with it")
        _check_sum(root, name, found[name], listed)
    return key


def check_file(path: str | os.PathLike[str], data: bytes, trusted: Trusted) -> TrustedKey:
    """The key that vouches, by its folder's signature, for the file at `path` with these bytes.

    Raises what `check_folder` raises.
    """
    file = pathlib.Path(path)
    key, listed = _vouched(file.parent, trusted)
    _check_sum(file.parent, file.name, hashlib.sha256(data).hexdigest(), listed)
    return key


def _check_sum(root: pathlib.Path, name: str, sha256: str, listed: Mapping[str, str]) -> None:
    if name not in listed:
        raise ChangedFolderError(f"{root} holds {shown(name)}, which was not signed with it")
    if listed[name] != sha256:
        raise ChangedFolderError(f"{shown(name)} in {root} is not the file that was signed")


def _vouched(root: pathlib.Path, trusted: Trusted) -> tuple[TrustedKey, dict[str, str]]:
    """The files {name: sha256} that the signature in `root` lists, and whose it is."""
    path = root / NAME
    try:
        data = read_bytes(path, _LIMIT)
    except MissingFileError:
        raise UnsignedFolderError(f"nobody vouches for {root}: it has no {NAME}") from None
    with naming(path):
        line = read_line(data)
        if line.public not in trusted:
            raise UntrustedKeyError(f"it is signed with the unknown key {line.public.hex()[:12]}")
        key = trusted[line.public]
        if key.tasks is not None:
            raise NotDelegatedError(f"{key} is trusted for {', '.join(key.tasks)}, not for folders")
        if line.statement is None or not line.is_of(_KIND + line.statement):
            raise BadSignatureError(f"the signature by {key} is not of this list of files")
        return key, _listed(line.statement)


def _listed(statement: bytes) -> dict[str, str]:
    try:
        value = canonical_json.decode(statement)
    except PatchFileError as error:
        raise BadSignatureError(f"the list of files cannot be read: {error.reason}") from error
    files = value.get("files") if isinstance(value, dict) and value.keys() == {"files"} else None
    if not isinstance(files, dict) or not files:
        raise BadSignatureError("the signature lists no files")
    if not all(isinstance(sum_, str) and _SHA256.fullmatch(sum_) for sum_ in files.values()):
        raise BadSignatureError("the signature lists a file without its sha256")
    return files


def _files(root: pathlib.Path) -> dict[str, str]:
    """The sha256 of every file below a folder, by name, but of its signature."""
    return {name: sha256 for name, sha256 in _walk(root, "") if name != NAME}


def _walk(folder: pathlib.Path, before: str) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            name = f"{before}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(pathlib.Path(entry.path), f"{name}/")
            elif name == NAME and not before:
                continue
            else:
                yield _encodable(name), _sha256(entry.path)
    except OSError as error:
        raise ChangedFolderError(f"{folder} cannot be looked into ({error.strerror})") from error


def _encodable(name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise ChangedFolderError(f"the name {shown(name)} is not UTF-8") from None
    return name


def _sha256(path: str) -> str:
    """Of a plain file; never through a link, and without waiting for a pipe."""
    if stat.S_ISLNK(os.lstat(path).st_mode):
        raise ChangedFolderError(f"{path} is a link, for which nobody can vouch")
    with open(os.open(path, _READING), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ChangedFolderError(f"{path} is no plain file, for which nobody can vouch")
        return hashlib.file_digest(file, "sha256").hexdigest()
