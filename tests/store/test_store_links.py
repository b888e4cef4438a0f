"""A store changes its own files alone: whatever else lies there, or is linked there, stays."""

import os
import stat

import pytest

from adapters.store.errors import NotRegularFileError
from tests.store import toy_store


@pytest.fixture
def foreign(tmp_path):
    """A folder of somebody else's."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    (folder / f"{'0' * 64}.patch").write_text("mine too")
    return folder


def test_a_task_s_folder_that_is_a_link_loses_nothing(install, root, foreign):
    install(1)
    (root / "patches" / "other").symlink_to(foreign)
    with pytest.raises(NotRegularFileError, match="other is a link, which a store"):
        install(2, task="other")
    assert sorted(path.name for path in foreign.iterdir()) == [f"{'0' * 64}.patch", "letter.txt"]
    assert toy_store.number(root) == 1


@pytest.mark.parametrize("name", ["patches", "state"])
def test_a_store_whose_own_folder_is_a_link_is_not_changed(install, root, foreign, name):
    root.mkdir(exist_ok=True)
    (root / name).symlink_to(foreign)
    with pytest.raises(NotRegularFileError, match=f"{name} is a link"):
        install(1)
    assert len(list(foreign.iterdir())) == 2


def test_a_link_put_there_meanwhile_is_not_followed(root, foreign, install):
    """The sweep opens the folder itself: a name in it may be anything by then."""
    install(1)
    install(2)
    folder = toy_store.file_of(root, 1).parent
    (folder / f"{'1' * 64}.patch").symlink_to(foreign / "letter.txt")
    (folder / "notes").write_text("a stray file")
    (folder / f"{'2' * 64}.patch").mkdir()
    (folder / f".{'3' * 64}.patch.half").write_text("left by a kill")
    (root / "state" / "letter").write_text("a stray file")
    install(3)
    left = {path.name for path in folder.iterdir()}
    assert left == {
        toy_store.file_of(root, 2).name,
        toy_store.file_of(root, 3).name,
        f"{'1' * 64}.patch",
        f"{'2' * 64}.patch",
        "notes",
    }
    assert (foreign / "letter.txt").read_text() == "mine"
    assert (root / "state" / "letter").exists()


def test_others_cannot_hold_the_lock(install, root):
    install(1)
    assert stat.S_IMODE(os.stat(root / "state" / ".lock").st_mode) == 0o600
