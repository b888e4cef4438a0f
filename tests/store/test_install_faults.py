"""The disk fails at any one call: the error has a type, and the old or the new patch is whole."""

import errno
import os
import pathlib
import shutil
import tempfile

import pytest

from adapters import files
from adapters.errors import ModelPatchError
from adapters.store.folder_lock import StoreInUseError, exclusive
from tests.store import toy_store
from tests.store.faults import Faults

ERRORS = {"disk full": errno.ENOSPC, "read-only": errno.EROFS, "broken": errno.EIO}


def install(root, path):
    toy_store.store(root).install(path)


def roll_back(root, path):
    toy_store.store(root).roll_back("tiny")


def remove(root, path):
    toy_store.store(root).remove("tiny")


@pytest.mark.parametrize("number", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize(
    ("change", "installed", "after"),
    [(install, [], 3), (install, [1, 2], 3), (roll_back, [1, 2], 1), (remove, [1, 2], None)],
)
def test_whatever_call_fails(tmp_path, monkeypatch, change, installed, after, number):
    seed, root = tmp_path / "seed", tmp_path / "store"
    seed.mkdir()
    for each in installed:
        install(seed, toy_store.write(tmp_path, toy_store.patch(each)))
    path = toy_store.write(tmp_path, toy_store.patch(3))
    before = installed[-1] if installed else None
    outcomes = set()
    calls: list[str] = []
    for fatal in range(1, 200):
        shutil.rmtree(root, ignore_errors=True)
        if installed:
            shutil.copytree(seed, root)
        raised = None
        with monkeypatch.context() as patched:
            faults = Faults(patched, fatal, number)
            try:
                change(root, path)
            except ModelPatchError as error:
                raised = error
        calls = faults.calls
        answers = toy_store.number(root)
        assert answers == after if raised is None else answers in (before, after), faults.calls
        outcomes.add((raised is None, answers))
        change_again(change, root, path, answers, after)
        if len(calls) < fatal:
            break
    assert len(calls) < fatal, "not every call was tried"
    assert {"open", "fdopen", "write", "fsync", "chmod", "replace"} <= set(calls)
    assert {(True, after), (False, before)} <= outcomes


def change_again(change, root, path, answers, after):
    """Where the change did not happen, it does now; and nothing is left of the first attempt."""
    if answers != after:
        change(root, path)
        assert toy_store.number(root) == after
        names = toy_store.listing(root)
        assert [name for name in names if "/." in name] == ["state/.lock"]
        assert len([name for name in names if name.endswith(".patch")]) <= 2


@pytest.mark.parametrize("made_before", [False, True])
def test_all_is_on_the_disk_before_the_record_names_it(tmp_path, monkeypatch, made_before):
    """After a loss of power too: in the order of calls, each file known by its inode.

    Also where an earlier call made the folders, and was killed before it synced them.
    """
    root = tmp_path / "device" / "store"
    if made_before:
        for folder in (root / "state", root / "patches" / "tiny"):
            folder.mkdir(parents=True)
    calls: list[tuple[str, int]] = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(descriptor):
        calls.append(("sync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def noting_replace(source, target):
        calls.append(("rename", os.stat(source).st_ino))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    install(root, toy_store.write(tmp_path, toy_store.patch(1)))
    (patch,) = (root / "patches" / "tiny").iterdir()
    record = root / "state" / "tiny.record"

    def at(call, path):
        return calls.index((call, path.stat().st_ino))

    switch = at("rename", record)
    assert at("sync", patch) < at("rename", patch) < at("sync", patch.parent) < switch
    for folder in (root / "patches", root, root.parent, tmp_path):
        assert at("sync", folder) < switch
    assert at("sync", record) < switch
    assert ("sync", record.parent.stat().st_ino) in calls[switch:]


def test_folders_that_were_there_need_not_be_syncable(tmp_path, monkeypatch):
    """Neither those of another file system, nor those that may not be read."""
    synced = []

    def sync_directory(folder):
        synced.append(folder)
        if folder == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files, "sync_directory", sync_directory)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path)
    root = tmp_path / "device" / "store"
    path = toy_store.write(tmp_path, toy_store.patch(1))
    with pytest.raises(files.NotWrittenError, match="Permission denied"):
        install(root, path)
    install(root, path)
    assert toy_store.number(root) == 1
    assert {tmp_path, root.parent, root} <= set(synced)
    assert not set(tmp_path.parents) & set(synced)


def test_a_store_that_may_only_be_read(monkeypatch):
    """Really read-only, for a user whom its permissions stop; what is installed goes on working."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        root = folder / "store"
        install(root, toy_store.write(folder, toy_store.patch(1)))
        path = toy_store.write(folder, toy_store.patch(2))
        everything = [root, *root.rglob("*")]
        for each in everything:
            each.chmod(0o555 if each.is_dir() else 0o444)
        before = toy_store.listing(root)
        root_user = os.geteuid() == 0
        if root_user:
            os.seteuid(65534)
        try:
            for change in (install, remove):
                with pytest.raises(files.NotWrittenError, match="Permission denied"):
                    change(root, path)
            with pytest.raises(files.NotWrittenError, match="Permission denied"):
                install(root / "below", path)
            assert toy_store.number(root) == 1
        finally:
            if root_user:
                os.seteuid(0)
        assert toy_store.listing(root) == before
        for each in everything:
            each.chmod(0o755)


def test_a_store_that_another_process_keeps(tmp_path):
    root = tmp_path / "store"
    install(root, toy_store.write(tmp_path, toy_store.patch(1)))
    path = toy_store.write(tmp_path, toy_store.patch(2))
    with exclusive(root / "state", patience=0):
        assert toy_store.number(root) == 1
        with pytest.raises(StoreInUseError, match=r"state for 0\.1 seconds"):
            toy_store.store(root, patience=0.1).install(path)
        assert toy_store.number(root) == 1
    install(root, path)
    assert toy_store.number(root) == 2


@pytest.mark.parametrize("below", ["file", "file/store"])
def test_a_path_that_is_no_folder(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    path = toy_store.write(tmp_path, toy_store.patch(1))
    with pytest.raises(files.NotWrittenError, match="A file stands"):
        install(tmp_path / below, path)
    assert (tmp_path / "file").read_text() == "mine"
    assert toy_store.number(tmp_path / below) is None
