"""Members come out of every kind of archive as they went in; damage is said in words."""

import io
import pathlib
import tarfile
import zipfile

import pytest

from adapters import archives

FILES = {"data/a.txt": b"alpha", "data/b.bin": bytes(range(256)) * 40, "other/c.txt": b""}


def tar(mode: str, prefix: str = "") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        folder = tarfile.TarInfo(f"{prefix}data")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in FILES.items():
            entry = tarfile.TarInfo(prefix + name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo(f"{prefix}data/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("data")
        for name, content in FILES.items():
            archive.writestr(name, content)
    return file.getvalue()


def debian(data_name: str = "data.tar.xz", data: bytes | None = None) -> bytes:
    """As deb(5) says: an ar archive of a version, control files and data, each padded to even."""
    package = b"!<arch>\n"
    data = tar("w:xz", "./") if data is None else data
    for name, content in (
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", b"odd"),
        (data_name, data),
    ):
        package += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        package += content + b"\n" * (len(content) % 2)
    # A later member, as signing tools append.
    return package + f"{'_gpgorigin':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{2:<10}`\nhi".encode()


ARCHIVES = {
    "a.whl": zipped(),
    "a.tar": tar("w"),
    "a.tgz": tar("w:gz"),
    "a.tar.xz": tar("w:xz"),
    "a.deb": debian(),
    "gz.deb": debian("data.tar.gz", tar("w:gz", "./")),
}


@pytest.fixture(params=ARCHIVES)
def archive(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / request.param
    path.write_bytes(ARCHIVES[request.param])
    return path


def test_regular_files_come_in_order(archive):
    assert list(archives.iterate_members(archive)) == list(FILES.items())


def test_prefix_and_suffix_choose(archive):
    names = [name for name, _ in archives.iterate_members(archive, "data/", ".txt")]
    assert names == ["data/a.txt"]


def test_one_member(archive):
    assert archives.read_member(archive, "data/b.bin") == FILES["data/b.bin"]


def test_a_stream_will_do(archive):
    assert archives.read_member(io.BytesIO(archive.read_bytes()), "data/a.txt") == b"alpha"


def test_missing_member(archive):
    with pytest.raises(archives.MissingMemberError, match=r"no member 'data/a\.tx'"):
        archives.read_member(archive, "data/a.tx")


def test_huge_members_are_refused_unread(archive, monkeypatch):
    monkeypatch.setattr(archives, "MEMBER_LIMIT", 10_000)
    with pytest.raises(archives.ArchiveError, match="unpacks to 10240 bytes"):
        list(archives.iterate_members(archive))
    assert [n for n, _ in archives.iterate_members(archive, "data/a")] == ["data/a.txt"]


def test_cut_short(archive):
    data = archive.read_bytes()
    for length in (0, 7, len(data) // 3):
        archive.write_bytes(data[:length])
        with pytest.raises(archives.ArchiveError):
            list(archives.iterate_members(archive))


def test_a_member_without_a_name_is_damage():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"content")
    data = file.getvalue().replace(b"\x01\0\0\0\0\0", b"\0\0\0\0\0\0")  # the name's length
    with pytest.raises(archives.ArchiveError):
        archives.zip_members(data)


def test_what_a_zip_of_weights_unpacks_to_is_bounded(monkeypatch):
    assert {n: read() for n, read in archives.zip_members(zipped()).items()} == FILES
    monkeypatch.setattr(archives, "UNPACKED", 10_000 - archives.EXPANSION * len(zipped()))
    with pytest.raises(archives.ArchiveError, match=r"b\.bin' unpacks to 10240 bytes"):
        archives.zip_members(zipped())


def test_packings_of_a_zip_that_take_memory_of_their_own_are_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", b"content")
    with pytest.raises(archives.ArchiveError, match="by no deflation"):
        archives.zip_members(file.getvalue())


def test_zstd_packages_are_named_as_such(tmp_path):
    (tmp_path / "z.deb").write_bytes(debian("data.tar.zst"))
    with pytest.raises(archives.ArchiveError, match="zstd"):
        list(archives.iterate_members(tmp_path / "z.deb"))


def test_a_consumers_own_errors_pass_through(archive):
    with pytest.raises(ValueError, match="mine"):  # noqa: PT012
        for _ in archives.iterate_members(archive):
            raise ValueError("mine")
