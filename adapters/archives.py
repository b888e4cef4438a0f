"""Reading members of wheels, zips, npm tarballs and Debian packages as bytes, never to disk."""

import contextlib
import functools
import io
import lzma
import os
import pathlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from adapters import errors
from adapters.shown import shown

MEMBER_LIMIT = 1 << 29
"""Largest member read, in bytes: a bigger one is taken for a decompression bomb."""

UNPACKED, EXPANSION = 1 << 26, 4
"""What a zip of weights may unpack to: these bytes, and that many times its own."""

_DEBIAN = b"!<arch>\n"
_ZIP_ENTRY = b"PK\x01\x02"
_ZIP_ENTRIES = 1 << 16


class ArchiveError(errors.ModelPatchError):
    """An archive is damaged, of a kind we do not read, or holds an absurdly large member."""


class MissingMemberError(ArchiveError):
    """An archive has no member of the asked-for name."""


def iterate_members(
    source: str | os.PathLike[str] | BinaryIO, prefix: str = "", suffix: str = ""
) -> Iterator[tuple[str, bytes]]:
    """Yields `(name, content)` of the regular files in an archive, in the archive's order.

    Reads zip files (wheels, `.keras`, `.pth`), tar files, plain or compressed (npm's `.tgz`), and
    the data part of Debian packages, told apart by content. Links and folders are passed over: a
    link's content appears once, under its own name. A leading `./` or `/` is cut from names, so
    that Debian's files read `usr/share/...`. Only members whose name starts with `prefix` and ends
    with `suffix` are read.

    Raises ArchiveError when the archive is damaged, not of these kinds, or a wanted member is
    larger than `MEMBER_LIMIT`; OSError when the file cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | os.PathLike):
            title = pathlib.Path(source).name
            file: BinaryIO = stack.enter_context(open(source, "rb"))
        else:
            title, file = "the archive", source
        stack.enter_context(_damage_in_words(title))
        members = _zip_members if zipfile.is_zipfile(file) else _tar_members
        file.seek(0)
        for name, size, read in members(file):
            if name.startswith(prefix) and name.endswith(suffix):
                if size > MEMBER_LIMIT:
                    raise ArchiveError(
                        f"{name!r} in {title} unpacks to {size} bytes, more than {MEMBER_LIMIT}."
                    )
                yield name, read()


def read_member(source: str | os.PathLike[str] | BinaryIO, name: str) -> bytes:
    """Gives the content of the member `name`.

    Raises MissingMemberError when there is none, and whatever `iterate_members` raises.
    """
    for found, content in iterate_members(source, prefix=name, suffix=name):
        if found == name:
            return content
    title = source if isinstance(source, str | os.PathLike) else "the archive"
    raise MissingMemberError(f"{title} has no member {name!r}: it is not the one expected.")


def zip_members(data: bytes) -> Mapping[str, Callable[[], bytes]]:
    """Gives how to read each regular file in a zip that nobody vouches for, by name.

    Nothing is unpacked before it is asked for. All members together may take no more than
    `UNPACKED` bytes and `EXPANSION` times the zip's own size: floats hardly compress.

    Raises ArchiveError when the zip is damaged, packed otherwise than by deflation, or would take
    more; so may each call.
    """
    if data.count(_ZIP_ENTRY) > _ZIP_ENTRIES:
        raise ArchiveError(f"the archive has more than {_ZIP_ENTRIES} members: refused.")
    found: dict[str, Callable[[], bytes]] = {}
    left = UNPACKED + EXPANSION * len(data)
    with _damage_in_words("the archive"):
        archive = zipfile.ZipFile(io.BytesIO(data))
        for entry in archive.infolist():
            left -= entry.file_size
            if left < 0 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ArchiveError(
                    f"{shown(entry.filename)!r} unpacks to {entry.file_size} bytes, of {len(data)} "
                    "in the whole archive, or is packed by no deflation: refused."
                )
            if not entry.is_dir():
                name = _plain_name(entry.filename)
                found[name] = functools.partial(_unpacked, archive, entry)
    return found


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with _damage_in_words("the archive"):
        return archive.read(entry)


Member = tuple[str, int, Callable[[], bytes]]  # name, unpacked size, how to read it


def _zip_members(file: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if not entry.is_dir():
                yield (
                    _plain_name(entry.filename),
                    entry.file_size,
                    functools.partial(archive.read, entry),
                )


def _tar_members(file: BinaryIO) -> Iterator[Member]:
    debian = file.read(len(_DEBIAN)) == _DEBIAN
    file.seek(0)
    with tarfile.open(fileobj=_debian_data(file) if debian else file, mode="r|*") as archive:
        for entry in archive:
            content = archive.extractfile(entry) if entry.isreg() else None
            if content is not None:
                yield _plain_name(entry.name), entry.size, content.read


def _debian_data(file: BinaryIO) -> BinaryIO:
    """Finds `data.tar.*` in a Debian package, which is an `ar` archive: deb(5)."""
    file.seek(len(_DEBIAN))
    while len(header := file.read(60)) == 60:
        name = header[:16].decode("ascii", "replace").rstrip(" /")
        size = int(header[48:58])
        if name.startswith("data.tar"):
            if name.endswith(".zst"):
                raise ArchiveError(
                    "the package is compressed with zstd, which is not read here; "
                    "Debian 12's packages use xz."
                )
            return _Slice(file, size)
        file.seek(size + size % 2, io.SEEK_CUR)
    raise ArchiveError("the package has no data part; delete it and fetch it anew.")


class _Slice(io.RawIOBase, BinaryIO):
    """The next `size` bytes of `file`, as a stream."""

    def __init__(self, file: BinaryIO, size: int):
        super().__init__()
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        return data


def _plain_name(name: str) -> str:
    return name.removeprefix("./").lstrip("/")


@contextlib.contextmanager
def _damage_in_words(title: str) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        ArithmeticError,  # an offset that no file has
        LookupError,  # a member without a name
        ValueError,
        RuntimeError,  # an encrypted member of a zip; NotImplementedError is one too
    ) as error:
        raise ArchiveError(
            f"{title} cannot be read as an archive ({error}); delete it and fetch it anew."
        ) from error
