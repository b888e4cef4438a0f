"""Files are whole or absent, also when the disk is full."""

import errno
import os

import pytest

from adapters import files


def no_space(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch, call):
    path = tmp_path / "a" / "file"
    files.write_bytes(path, b"old")
    monkeypatch.setattr(os, call, no_space)
    with pytest.raises(files.NotWrittenError, match=f"{path} cannot be written: No space left"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["file"]


def test_a_name_that_the_disk_does_not_confirm(tmp_path, monkeypatch):
    """The new file is in its place: nobody may say that what was there before is untouched."""
    path = tmp_path / "file"
    files.write_bytes(path, b"old")

    def broken(folder):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files, "sync_directory", broken)
    with pytest.raises(files.NotDurableError, match=f"{path} is written, .*Input/output") as found:
        files.write_bytes(path, b"new")
    assert "untouched" not in str(found.value)
    assert path.read_bytes() == b"new"
    with (
        pytest.raises(files.NotDurableError, match="folder is written"),
        files.new_directory(tmp_path / "folder"),
    ):
        pass
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a" / "folder"

    def fill(error=None):
        with files.new_directory(path) as folder:
            (folder / "part").write_text("whole")
            assert not path.exists()
            if error:
                raise error

    for error, raised in (
        (OSError(errno.EDQUOT, "Quota exceeded"), files.NotWrittenError),
        (ZeroDivisionError(), ZeroDivisionError),
    ):
        with pytest.raises(raised):
            fill(error)
        assert os.listdir(path.parent) == []
    fill()
    assert os.listdir(path.parent) == ["folder"]
    assert (path / "part").read_text() == "whole"


def test_the_folder_of_another_process_stays(tmp_path):
    with files.new_directory(tmp_path / "folder") as ours:
        (ours / "part").write_text("ours")
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "part").write_text("theirs")
    assert (tmp_path / "folder" / "part").read_text() == "theirs"
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_is_replaced_when_the_new_one_is_whole(tmp_path):
    target = tmp_path / "folder"
    (target / "old").mkdir(parents=True)
    with pytest.raises(KeyError), files.new_directory(target, replaces=True) as ours:
        raise KeyError
    assert os.listdir(target) == ["old"]
    with files.new_directory(target, replaces=True) as ours:
        (ours / "new").write_text("whole")
        assert os.listdir(target) == ["old"]
    assert os.listdir(target) == ["new"]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_path_below_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(files.NotWrittenError, match=r"file/below cannot .* A file stands where"):
        files.write_bytes(tmp_path / "file" / "below", b"")
