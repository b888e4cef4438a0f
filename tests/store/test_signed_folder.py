"""One signature over a folder.

The cases are those of OpenSSF Model Signing's conformance suite that apply (docs/security.md says
which), by their names there.
"""

import hashlib
import json
import os

import pytest

from adapters.store import errors, signed_folder
from adapters.store.signed_line import signed_line
from adapters.store.trust import TrustedKey
from tests.store import toy_store

KEY = next(iter(toy_store.TRUSTED))
FILES = {
    "signme-1": b"one",
    "signme-2": b"two",
    "empty.bin": b"",
    "binary": bytes(range(256)),
    ".config": b"dot",
    ".cache/weights.bin": b"hidden",
    "subdir/.gitignore": b"*",
    "assets/vocab.txt": b"words",
    "a/very/deep/directory/tree/weights.bin": b"deep",
    "path with spaces/file (copy).bin": b"odd",
    "\u6a21\u578b.bin": b"model",
}


@pytest.fixture
def folder(tmp_path):
    """A folder with a signature."""
    folder = tmp_path / "model"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    sign(folder)
    return folder


def sign(folder, key=toy_store.MAKER):
    (folder / signed_folder.NAME).write_bytes(signed_folder.sign_folder(folder, key))


def check(folder, trusted=toy_store.TRUSTED):
    return signed_folder.check_folder(folder, trusted)


def test_every_file_is_listed_by_its_name_and_sum_in_order_and_no_other(folder):
    """key-simple, -multi-file, -assets-subdir, -deeply-nested, -dotfile-included,
    -files-in-hidden-dir, -empty-file, -binary-content, -unicode-filename, -special-chars-path,
    -nested-git-not-excluded, -sig-inside-model, -simple-deterministic."""
    assert check(folder) == TrustedKey("maker.pub")
    line = (folder / signed_folder.NAME).read_bytes()
    files = json.loads(line.split(b" ", 3)[3])["files"]
    assert files == {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    assert list(files) == sorted(FILES)
    sign(folder)
    assert (folder / signed_folder.NAME).read_bytes() == line
    for name, content in FILES.items():
        if "/" not in name:
            assert signed_folder.check_file(folder / name, content, toy_store.TRUSTED)


def test_a_folder_of_one_file(tmp_path):
    """key-single-file."""
    (tmp_path / "model.bin").write_bytes(b"model")
    sign(tmp_path)
    assert check(tmp_path)


def test_what_was_changed_removed_or_added_is_noticed(folder):
    """key-simple-tampered-content, -missing-file, -extra-file."""
    (folder / "signme-1").write_bytes(b"other")
    with pytest.raises(errors.ChangedFolderError, match=r"'signme-1' in .* is not the file"):
        check(folder)
    with pytest.raises(errors.ChangedFolderError):
        signed_folder.check_file(folder / "signme-1", b"other", toy_store.TRUSTED)
    assert signed_folder.check_file(folder / "signme-1", b"one", toy_store.TRUSTED)
    (folder / "signme-1").unlink()
    with pytest.raises(errors.ChangedFolderError, match="lacks 'signme-1'"):
        check(folder)
    (folder / "signme-1").write_bytes(b"one")
    assert check(folder)
    (folder / "subdir" / signed_folder.NAME).write_bytes(b"injected")
    with pytest.raises(errors.ChangedFolderError, match=r"holds 'subdir/folder\.sig', which was"):
        check(folder)


def test_nobody_else_s_signature_counts(folder):
    """key-simple-wrong-key."""
    sign(folder, toy_store.STRANGER)
    with pytest.raises(errors.UntrustedKeyError):
        check(folder)
    sign(folder)
    with pytest.raises(errors.NotDelegatedError, match="not for folders"):
        check(folder, {KEY: TrustedKey("maker.pub", ("tiny",))})
    (folder / signed_folder.NAME).unlink()
    with pytest.raises(errors.UnsignedFolderError):
        check(folder)


def test_what_is_no_signature_of_a_folder(folder):
    """key-simple-corrupted-bundle, -truncated-bundle, -no-signature, -empty-resources,
    -wrong-payload-type, -wrong-statement-type, malformed-empty-bundle, -missing-envelope,
    -wrong-predicate."""
    path = folder / signed_folder.NAME
    line = path.read_bytes()
    statement = line.split(b" ", 3)[3][:-1]
    sums = json.loads(statement)["files"]

    def signed(statement, kind=b"modelpatch folder\n"):
        return signed_line(kind + statement, statement, toy_store.MAKER)

    assert signed(statement) == line
    wrong = [b"", line[:100], line[:-1], line + line, b"{}" + line, b"\xff" + line]
    wrong += [b" ".join(line.split(b" ")[:3]) + b"\n", line.replace(b" ", b"  ", 1)]
    wrong += [signed(b'{"files":{}}'), signed(b"{}"), signed(b"[1]"), signed(b'{"files":[1]}')]
    wrong += [signed(b'{"files":{"a":"b"}}'), signed(statement[:-1]), signed(b" " + statement)]
    wrong += [signed(json.dumps({"files": sums, "more": 1}).encode())]
    wrong += [signed(statement, kind) for kind in (b"", b"modelpatch release\n")]
    for content in wrong:
        path.write_bytes(content)
        with pytest.raises(errors.BadSignatureError):
            check(folder)


def test_every_changed_byte_of_the_signature_is_noticed(folder):
    path = folder / signed_folder.NAME
    line = path.read_bytes()
    for at in range(0, len(line), 7):
        path.write_bytes(bytes([*line[:at], line[at] ^ 1, *line[at + 1 :]]))
        with pytest.raises((errors.BadSignatureError, errors.UntrustedKeyError)):
            check(folder)


def test_what_cannot_be_signed(tmp_path):
    """key-empty-model-rejected, key-symlink-default-rejected, -outside-root, -cycle."""
    with pytest.raises(errors.ChangedFolderError, match="holds no file"):
        sign(tmp_path)
    (tmp_path / "a").write_bytes(b"a")
    for target in ("a", "/etc/passwd", "nothing", "."):
        (tmp_path / "link").symlink_to(target)
        with pytest.raises(errors.ChangedFolderError, match="is a link"):
            sign(tmp_path)
        (tmp_path / "link").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.ChangedFolderError, match="no plain file"):
        sign(tmp_path)


def test_a_link_in_place_of_a_signed_file_is_not_followed(folder, tmp_path):
    (tmp_path / "same").write_bytes(b"one")
    (folder / "signme-1").unlink()
    (folder / "signme-1").symlink_to(tmp_path / "same")
    with pytest.raises(errors.ChangedFolderError, match="is a link"):
        check(folder)
