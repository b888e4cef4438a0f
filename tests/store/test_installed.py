"""Installing, falling back, rolling back: which patch answers."""

import dataclasses

import pytest

from adapters import files
from adapters.store import errors, signature, store_folder
from adapters.store.installed import NotInstalledError
from tests.store import toy_store


def test_the_last_installed_answers_and_the_one_before_is_kept(install, root):
    assert toy_store.number(root) is None
    assert toy_store.store(root).tasks() == ()
    for number, version in ((1, "1.0.0"), (2, "1.0.0"), (3, "1.2.0")):
        assert install(number, version).head["b"][0] == number
        assert toy_store.number(root) == number
        assert toy_store.store(root).active("tiny").path == toy_store.file_of(root, number, version)
    assert toy_store.listing(root) == sorted(
        [
            "state/.lock",
            "state/backbone",
            "state/tiny.record",
            toy_store.file_of(root, 2).relative_to(root).as_posix(),
            toy_store.file_of(root, 3, "1.2.0").relative_to(root).as_posix(),
        ]
    )
    assert toy_store.file_of(root, 3, "1.2.0").read_bytes() == toy_store.patch(3, "1.2.0")
    assert toy_store.store(root).tasks() == ("tiny",)


def test_tasks_do_not_disturb_one_another(install, root):
    install(1, "2.0.0")
    install(2, "1.0.0", task="other")
    assert toy_store.store(root).tasks() == ("other", "tiny")
    assert (toy_store.number(root), toy_store.number(root, "other")) == (1, 2)
    assert toy_store.store(root).active("third").contents is None


def test_installing_the_same_again_keeps_the_previous_one(install, root):
    install(1)
    install(2)
    before = toy_store.listing(root)
    toy_store.damage(toy_store.file_of(root, 2))
    install(2)
    assert toy_store.listing(root) == before
    assert toy_store.number(root) == 2
    toy_store.store(root).roll_back("tiny")
    assert toy_store.number(root) == 1


def test_starting_falls_back_to_the_previous_one_then_to_none(install, root):
    install(1)
    install(2)
    toy_store.damage(toy_store.file_of(root, 2))
    found = toy_store.store(root).active("tiny")
    assert found.contents.head["b"][0] == 1
    (refusal,) = found.refused
    assert type(refusal) is errors.DigestError
    assert str(toy_store.file_of(root, 2)) in str(refusal)
    assert found.path == toy_store.file_of(root, 1)
    toy_store.file_of(root, 1).unlink()
    found = toy_store.store(root).active("tiny")
    assert (found.contents, found.path) == (None, None)
    assert [type(error) for error in found.refused] == [
        errors.DigestError,
        errors.MissingFileError,
    ]


def test_a_damaged_patch_does_not_push_out_the_good_one_behind_it(install, root):
    install(1)
    install(2)
    toy_store.damage(toy_store.file_of(root, 2))
    install(3)
    assert toy_store.number(root) == 3
    toy_store.damage(toy_store.file_of(root, 3))
    assert toy_store.store(root).active("tiny").contents.head["b"][0] == 1


def test_rolling_back_and_forth(install, root):
    store = toy_store.store(root)
    for call in (store.roll_back, store.remove):
        with pytest.raises(NotInstalledError, match="'tiny'"):
            call("tiny")
        assert not root.exists(), "a mistyped name made a folder"
    install(1)
    with pytest.raises(NotInstalledError, match="no previous patch of 'tiny'"):
        store.roll_back("tiny")
    install(2)
    for expected in (1, 2, 1):
        assert store.roll_back("tiny").head["b"][0] == expected
        assert toy_store.number(root) == expected
    toy_store.damage(toy_store.file_of(root, 2))
    with pytest.raises(errors.DigestError):
        store.roll_back("tiny")
    assert toy_store.number(root) == 1


@pytest.mark.parametrize("gone", [False, True])
def test_rolling_back_holds_nobody_up(install, root, monkeypatch, gone):
    """Others install during its self-test, or just before it reads: it goes back from theirs."""
    install(1)
    install(2)
    pending = [4, 3]

    def others():
        while pending:
            install(pending.pop())

    real = store_folder.read_bytes
    if gone:

        def read_bytes(path, *arguments):
            if path == toy_store.file_of(root, 1):
                others()
            return real(path, *arguments)

        monkeypatch.setattr(store_folder, "read_bytes", read_bytes)

    def self_test(contents):
        if not gone:
            others()
        toy_store.toy_parity(contents)

    checks = dataclasses.replace(toy_store.CHECKS, self_test=self_test)
    rolled = toy_store.store(root, checks=checks, patience=0).roll_back("tiny")
    assert not pending
    assert rolled.head["b"][0] == 3
    assert toy_store.number(root) == 3
    assert not toy_store.file_of(root, 1).exists()


def test_what_was_replaced_while_starting_is_looked_up_again(install, root, monkeypatch):
    """Two installations between reading the record and the file that it names delete that file."""
    install(1)
    real, pending = store_folder.read_bytes, [2, 3]

    def read_bytes(path, *arguments):
        while pending and path == toy_store.file_of(root, 1):
            monkeypatch.setattr(store_folder, "read_bytes", real)
            install(pending.pop(0))
        return real(path, *arguments)

    monkeypatch.setattr(store_folder, "read_bytes", read_bytes)
    assert toy_store.number(root) == 3
    assert not pending
    assert not toy_store.file_of(root, 1).exists()


@pytest.mark.parametrize("task", ["a" * 60, "\N{FISH}" * 50])
def test_the_longest_names_fit_a_folder(root, tmp_path, task):
    """Also while each file is written aside."""
    content = toy_store.patch(1, task=task)
    path = toy_store.write(tmp_path, content, f"{task}.patch")
    files.write_bytes(path, content)
    files.write_bytes(signature.signature_path(path), signature.sign(content, toy_store.MAKER))
    toy_store.store(root, toy_store.TRUSTED).install(path)
    assert toy_store.number(root, task, toy_store.TRUSTED) == 1
    assert toy_store.store(root, toy_store.TRUSTED).tasks() == (task,)


@pytest.mark.parametrize("task", ["../tiny", "tiny/../tiny", "", ".", "a\0b"])
def test_names_that_are_no_tasks(install, root, task):
    install(1)
    store = toy_store.store(root / "patches")
    assert toy_store.store(root).active(task).contents is None
    for call in (store.remove, store.roll_back):
        with pytest.raises(NotInstalledError):
            call(task)
    assert toy_store.number(root) == 1
