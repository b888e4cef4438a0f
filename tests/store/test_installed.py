"""Installing, falling back, rolling back: which patch answers, and why another does not."""

import dataclasses
import hashlib
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters import files
from adapters.store import errors, signature, store_folder
from adapters.store.installed import NotInstalledError
from adapters.store.record import RecordError
from adapters.store.store_backbone import OtherBackboneError, StoreBackbone
from tests.store import make_patches, toy_store

MAKER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TRUSTED = {MAKER.public_key().public_bytes_raw(): "maker.pub"}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def install(tmp_path, root):
    """Installs `toy_store.patch(number, version, ...)`, signed with `key` if there is one."""

    def call(number, version="1.0.0", key=None, trusted=None, **fields):
        content = toy_store.patch(number, version, **fields)
        path = toy_store.write(tmp_path / "incoming", content)
        beside = signature.signature_path(path)
        beside.unlink(missing_ok=True)
        if key is not None:
            beside.write_bytes(signature.sign(content, key))
        return toy_store.store(root, trusted).install(path)

    return call


def file_of(root, number, version="1.0.0", task="tiny"):
    digest = hashlib.sha256(toy_store.patch(number, version, task)).hexdigest()
    return root / "patches" / task / f"{digest}.patch"


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_the_last_installed_answers_and_the_one_before_is_kept(install, root):
    assert toy_store.number(root) is None
    assert toy_store.store(root).tasks() == ()
    for number, version in ((1, "1.0.0"), (2, "1.0.0"), (3, "1.2.0")):
        assert install(number, version).head["b"][0] == number
        assert toy_store.number(root) == number
        assert toy_store.store(root).active("tiny").path == file_of(root, number, version)
    assert toy_store.listing(root) == sorted(
        [
            "state/.lock",
            "state/backbone",
            "state/tiny.record",
            file_of(root, 2).relative_to(root).as_posix(),
            file_of(root, 3, "1.2.0").relative_to(root).as_posix(),
        ]
    )
    assert file_of(root, 3, "1.2.0").read_bytes() == toy_store.patch(3, "1.2.0")
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
    damage(file_of(root, 2))
    install(2)
    assert toy_store.listing(root) == before
    assert toy_store.number(root) == 2
    toy_store.store(root).roll_back("tiny")
    assert toy_store.number(root) == 1


def test_installing_without_the_signature_again_keeps_it(install, root):
    install(1, key=MAKER, trusted=TRUSTED)
    before = (root / "state" / "tiny.record").read_bytes()
    install(1)
    assert (root / "state" / "tiny.record").read_bytes() == before
    assert toy_store.number(root, trusted=TRUSTED) == 1
    install(2, key=STRANGER)
    install(1)  # the previous one
    assert toy_store.number(root, trusted=TRUSTED) == 1
    install(2, key=MAKER)  # another signature replaces the one before
    assert toy_store.number(root, trusted=TRUSTED) == 2


def test_starting_falls_back_to_the_previous_one_then_to_none(install, root):
    install(1)
    install(2)
    damage(file_of(root, 2))
    found = toy_store.store(root).active("tiny")
    assert found.contents.head["b"][0] == 1
    (refusal,) = found.refused
    assert type(refusal) is errors.DigestError
    assert str(file_of(root, 2)) in str(refusal)
    assert found.path == file_of(root, 1)
    file_of(root, 1).unlink()
    found = toy_store.store(root).active("tiny")
    assert (found.contents, found.path) == (None, None)
    assert [type(error) for error in found.refused] == [
        errors.DigestError,
        errors.MissingFileError,
    ]


def test_a_damaged_patch_does_not_push_out_the_good_one_behind_it(install, root):
    install(1)
    install(2)
    damage(file_of(root, 2))
    install(3)
    assert toy_store.number(root) == 3
    damage(file_of(root, 3))
    assert toy_store.store(root).active("tiny").contents.head["b"][0] == 1


def test_a_revoked_patch_does_not_push_out_the_good_one_behind_it(install, root):
    both = TRUSTED | {STRANGER.public_key().public_bytes_raw(): "stranger.pub"}
    install(1, key=MAKER, trusted=both)
    install(2, key=STRANGER, trusted=both)
    install(3, key=MAKER, trusted=TRUSTED)
    assert toy_store.number(root, trusted=TRUSTED) == 3
    damage(file_of(root, 3))
    found = toy_store.store(root, TRUSTED).active("tiny")
    assert found.contents.head["b"][0] == 1
    assert [type(error) for error in found.refused] == [errors.DigestError]


OTHER = {"name": "other_backbone", "fingerprint": "f" * 64}
OTHERS = dataclasses.replace(toy_store.CHECKS, backbone=StoreBackbone(**OTHER))


def other_install(root, folder, number):
    """Installs a patch for another backbone, into a store that is opened for that one."""
    path = toy_store.write(folder, toy_store.patch(number, backbone=OTHER))
    return toy_store.store(root, checks=OTHERS).install(path)


def test_a_store_is_for_one_backbone(install, root, tmp_path):
    install(1)
    install(2)
    before = toy_store.listing(root)
    others = toy_store.store(root, checks=OTHERS)
    said = f"the patches in {root} are for tiny_backbone 0123456789ab, not for other_backbone fff"
    with pytest.raises(OtherBackboneError, match=said):
        other_install(root, tmp_path, 3)
    with pytest.raises(OtherBackboneError, match=said):
        others.roll_back("tiny")
    assert others.active("tiny").contents is None
    assert (toy_store.number(root), toy_store.listing(root)) == (2, before)
    renamed = StoreBackbone("a/file", OTHERS.backbone.fingerprint)
    same = dataclasses.replace(OTHERS, backbone=renamed)
    with pytest.raises(OtherBackboneError, match="not for a/file"):
        toy_store.store(root, checks=same).roll_back("tiny")
    toy_store.store(root).remove("tiny")
    with pytest.raises(OtherBackboneError):
        other_install(root, tmp_path, 3)


def test_a_first_installation_that_was_killed_decides_nothing(install, root, tmp_path):
    other_install(root, tmp_path, 1)
    (root / "state" / "tiny.record").unlink()
    install(2)
    assert toy_store.number(root) == 2
    with pytest.raises(OtherBackboneError):
        other_install(root, tmp_path, 3)


def test_nor_does_one_for_other_weights(install, root, tmp_path):
    install(1)
    (root / "state" / "backbone").unlink()  # or it would be refused
    other_install(root, tmp_path, 2)
    (root / "state" / "backbone").unlink()
    install(3)
    damage(file_of(root, 3))
    assert toy_store.store(root).active("tiny").contents.head["b"][0] == 1


@pytest.mark.parametrize("error", [MemoryError(), TypeError("odd."), RuntimeError("INTERNAL")])
def test_any_error_of_a_self_test_is_a_refusal(install, root, tmp_path, error):
    """Of patches 2 and 3 a library makes an error that nobody foresaw."""
    install(1)
    install(2)

    def self_test(contents):
        if contents.head["b"][0] > 1:
            raise error
        toy_store.toy_parity(contents)

    store = toy_store.store(root, checks=dataclasses.replace(toy_store.CHECKS, self_test=self_test))
    found = store.active("tiny")
    assert found.contents.head["b"][0] == 1
    (refusal,) = found.refused
    assert type(refusal) is errors.NotRunnableError
    assert refusal.__cause__ is error
    assert f"{file_of(root, 2)}: trying the patch ended in {type(error).__name__}" in str(refusal)
    before = toy_store.listing(root)
    with pytest.raises(errors.NotRunnableError, match=r"tiny\.patch: "):
        store.install(toy_store.write(tmp_path, toy_store.patch(3)))
    assert toy_store.listing(root) == before
    store.roll_back("tiny")
    with pytest.raises(errors.NotRunnableError):
        store.roll_back("tiny")
    assert toy_store.number(root) == 1


def test_a_good_patch_of_another_task_in_its_place_is_refused(install, root):
    """Even where someone writes a record that fits it."""
    install(1)
    install(1, task="other")
    state, patches = root / "state", root / "patches"
    shutil.copy(state / "other.record", state / "tiny.record")
    found = toy_store.store(root).active("tiny")
    assert (found.contents, type(found.refused[0])) == (None, RecordError)
    content = (state / "other.record").read_bytes().partition(b"\n")[2]
    forged = content.replace(b'"task":"other"', b'"task":"tiny"')
    assert forged != content
    line = hashlib.sha256(forged).hexdigest().encode() + b"\n"
    (state / "tiny.record").write_bytes(line + forged)
    shutil.copytree(patches / "other", patches / "tiny", dirs_exist_ok=True)
    found = toy_store.store(root).active("tiny")
    assert found.contents is None
    assert "of the task 'other', not of 'tiny'" in str(found.refused[0])


def test_an_older_version_is_refused_for_ever(install, root):
    install(1, "1.9.0")
    install(2, "1.10.0")
    before = toy_store.listing(root)
    with pytest.raises(errors.OlderVersionError, match=r"tiny\.patch: .*1\.9\.0, 1\.10\.0 was"):
        install(3, "1.9.0")
    assert (toy_store.number(root), toy_store.listing(root)) == (2, before)

    store = toy_store.store(root)
    assert store.roll_back("tiny").task_version == "1.9.0"
    assert toy_store.number(root) == 1
    with pytest.raises(errors.OlderVersionError):
        install(1, "1.9.0")
    shutil.rmtree(root / "patches")
    with pytest.raises(errors.OlderVersionError):
        install(1, "1.9.0")
    store.remove("tiny")
    assert toy_store.number(root) is None
    assert toy_store.listing(root) == ["state/.lock", "state/backbone", "state/tiny.record"]
    with pytest.raises(errors.OlderVersionError):
        install(1, "1.9.0")
    install(4, "1.10.0")
    assert toy_store.number(root) == 4


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
    damage(file_of(root, 2))
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
            if path == file_of(root, 1):
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
    assert not file_of(root, 1).exists()


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"backbone": {"name": "b", "fingerprint": "f" * 64}}, errors.FingerprintError, "fffff"),
        ({"version": "0.9"}, errors.OlderVersionError, "0.9, 1.0.0 was"),
        ({"version": "new"}, errors.VersionError, "'new', not one to"),
    ],
)
def test_what_the_card_gives_away(install, root, tmp_path, fields, error, said):
    install(1)
    before = toy_store.listing(root)
    path = toy_store.write(tmp_path, toy_store.patch(2, **fields))
    with pytest.raises(error, match=said) as refusal:
        toy_store.store(root).install(path)
    assert type(refusal.value) is error
    assert str(path) in str(refusal.value)
    assert (toy_store.number(root), toy_store.listing(root)) == (1, before)


WIDE = make_patches.TENSORS | {"head/w": ([4, 2], [1.0] * 8)}
WIDE_HEAD = {"head": {"kind": "classification", "features": 4, "classes": 2}}
BROAD = make_patches.TENSORS | {"edit/replace/stem/norm/mean": ([3], [0.0] * 3)}
SWAPPED = make_patches.TENSORS | {"head/w": ([3, 2], [1.0, 0.0, 3.0, 2.0, 5.0, 4.0])}


@pytest.mark.parametrize(
    ("tensors", "fields", "error", "said"),
    [
        (WIDE, WIDE_HEAD, errors.ShapeMismatchError, "takes 4 features, the backbone gives 3"),
        (BROAD, {}, errors.ShapeMismatchError, r"stem/norm/mean is \[3\]"),
        (SWAPPED, {}, errors.ParityError, "logits differ"),
    ],
)
def test_what_the_tensors_give_away(root, tmp_path, tensors, fields, error, said):
    """Each file's digest is right: whoever changed it could compute one."""
    card = make_patches.card_with(**fields)
    path = toy_store.write(tmp_path, make_patches.assemble(card, tensors))
    with pytest.raises(error, match=said) as refusal:
        toy_store.store(root).install(path)
    assert type(refusal.value) is error
    assert toy_store.listing(root) == []


def test_only_who_is_trusted_gets_in(install, root):
    install(1, key=MAKER, trusted=TRUSTED)
    assert toy_store.number(root, trusted=TRUSTED) == 1
    for key, error in (
        (None, errors.UnsignedError),
        (STRANGER, errors.UntrustedKeyError),
    ):
        with pytest.raises(error, match=r"tiny\.patch"):
            install(2, "2.0.0", key=key, trusted=TRUSTED)
    assert toy_store.number(root, trusted=TRUSTED) == 1


def changed_preprocessing():
    return {"preprocessing": make_patches.CARD["preprocessing"] | {"mean": [0.0, 0.0, 0.0]}}


@pytest.mark.parametrize(
    "forged",
    [
        toy_store.patch(1, **changed_preprocessing()),
        make_patches.assemble(make_patches.CARD, SWAPPED),
        toy_store.patch(2),
        toy_store.patch(1)[:-1],
    ],
)
def test_a_forger_who_recomputes_the_digest_cannot_sign(root, tmp_path, forged):
    path = toy_store.write(tmp_path, forged)
    signed = signature.sign(toy_store.patch(1), MAKER)
    signature.signature_path(path).write_bytes(signed)
    with pytest.raises(errors.BadSignatureError, match=r"by maker\.pub does not belong"):
        toy_store.store(root, TRUSTED).install(path)
    assert toy_store.listing(root) == []


def test_what_is_not_vouched_for_is_not_interpreted(root, tmp_path):
    path = toy_store.write(tmp_path, b"\xff" * 100)
    with pytest.raises(errors.UnsignedError):
        toy_store.store(root, TRUSTED).install(path)


def test_signatures_are_checked_again_at_every_start(install, root):
    """Keys that are configured later, or trusted no more, count at once."""
    install(1)
    install(2, key=STRANGER)
    found = toy_store.store(root, TRUSTED).active("tiny")
    assert found.contents is None
    assert [type(error) for error in found.refused] == [
        errors.UntrustedKeyError,
        errors.UnsignedError,
    ]
    install(3, key=MAKER, trusted=TRUSTED)
    assert toy_store.number(root, trusted=TRUSTED) == 3
    others = {STRANGER.public_key().public_bytes_raw(): "stranger.pub"}
    found = toy_store.store(root, others).active("tiny")
    assert found.contents.head["b"][0] == 2
    assert [type(error) for error in found.refused] == [errors.UntrustedKeyError]


def test_the_bytes_that_were_checked_are_the_bytes_installed(root, tmp_path):
    """Whoever replaces the file while it is checked changes nothing of what is installed."""
    path = toy_store.write(tmp_path, toy_store.patch(1))

    def swap(contents):
        path.write_bytes(toy_store.patch(2))
        toy_store.toy_parity(contents)

    checks = dataclasses.replace(toy_store.CHECKS, self_test=swap)
    toy_store.store(root, checks=checks).install(path)
    assert path.read_bytes() == toy_store.patch(2)
    assert toy_store.number(root) == 1
    assert file_of(root, 1).exists()


def test_what_was_replaced_while_starting_is_looked_up_again(install, root, monkeypatch):
    """Two installations between reading the record and the file that it names delete that file."""
    install(1)
    real, pending = store_folder.read_bytes, [2, 3]

    def read_bytes(path, *arguments):
        while pending and path == file_of(root, 1):
            monkeypatch.setattr(store_folder, "read_bytes", real)
            install(pending.pop(0))
        return real(path, *arguments)

    monkeypatch.setattr(store_folder, "read_bytes", read_bytes)
    assert toy_store.number(root) == 3
    assert not pending
    assert not file_of(root, 1).exists()


@pytest.mark.parametrize("task", ["a" * 60, "\N{FISH}" * 50])
def test_the_longest_names_fit_a_folder(root, tmp_path, task):
    """Also while each file is written aside."""
    content = toy_store.patch(1, task=task)
    path = toy_store.write(tmp_path, content, f"{task}.patch")
    files.write_bytes(path, content)
    files.write_bytes(signature.signature_path(path), signature.sign(content, MAKER))
    toy_store.store(root, TRUSTED).install(path)
    assert toy_store.number(root, task, TRUSTED) == 1
    assert toy_store.store(root).tasks() == (task,)


@pytest.mark.parametrize("task", ["../tiny", "tiny/../tiny", "", ".", "a\0b"])
def test_names_that_are_no_tasks(install, root, task):
    install(1)
    store = toy_store.store(root / "patches")
    assert toy_store.store(root).active(task).contents is None
    for call in (store.remove, store.roll_back):
        with pytest.raises(NotInstalledError):
            call(task)
    assert toy_store.number(root) == 1
