"""Folders whose every byte is accounted for: a `SHA256SUMS` file, as `sha256sum -c` reads it."""

import hashlib
import os
import pathlib

from adapters import files

SUMS = "SHA256SUMS"


def seal(folder: pathlib.Path) -> None:
    """Writes the digest of every file under `folder` into it, and all of them to the disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            files.sync_directory(path)
        else:
            with open(path, "rb") as file:
                os.fsync(file.fileno())
    files.write_bytes(folder / SUMS, _sums(folder))


def damage(folder: pathlib.Path) -> str | None:
    """What differs between a sealed folder and its seal, in words; None when nothing does."""
    try:
        expected, found = (folder / SUMS).read_bytes(), _sums(folder)
    except OSError as error:
        return f"{pathlib.Path(error.filename or SUMS).name} cannot be read ({error.strerror})"
    if expected == found:
        return None
    lines = set(expected.splitlines()) ^ set(found.splitlines())
    names = sorted({line.decode("utf-8", "replace").split("  ")[-1] for line in lines})
    return f"{SUMS} does not agree with {', '.join(names) or 'its own lines'}"


def _sums(folder: pathlib.Path) -> bytes:
    """A line `digest  name` for every file under `folder` but the sums themselves."""
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    return "".join(f"{_digest(folder / name)}  {name}\n" for name in names if name != SUMS).encode()


def _digest(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
