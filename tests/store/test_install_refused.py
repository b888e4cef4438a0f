"""What a store refuses, though it is a whole patch, and why."""

import dataclasses
import hashlib
import shutil

import pytest

from adapters.store import errors, signature
from adapters.store.record import RecordError
from adapters.store.store_backbone import OtherBackboneError, StoreBackbone
from tests.store import make_patches, toy_store

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
    toy_store.damage(toy_store.file_of(root, 3))
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
    said = f"{toy_store.file_of(root, 2)}: trying the patch ended in {type(error).__name__}"
    assert said in str(refusal)
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


def test_bytes_of_another_task_than_was_asked_for(install, root):
    install(1)
    before = toy_store.listing(root)
    store = toy_store.store(root, toy_store.TRUSTED)
    data = toy_store.patch(2, task="other")
    signed = signature.sign(data, toy_store.MAKER)
    with pytest.raises(errors.WrongTaskError, match="of the task 'other', not of 'tiny'"):
        store.install_bytes(data, signed, "tiny")
    with pytest.raises(errors.UnsignedError):
        store.install_bytes(data, None, "other")
    assert toy_store.listing(root) == before
    assert store.install_bytes(data, signed, "other").task == "other"
    assert toy_store.number(root, "other", toy_store.TRUSTED) == 2


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


@pytest.mark.parametrize(
    ("tensors", "fields", "error", "said"),
    [
        (WIDE, WIDE_HEAD, errors.ShapeMismatchError, "takes 4 features, the backbone gives 3"),
        (BROAD, {}, errors.ShapeMismatchError, r"stem/norm/mean is \[3\]"),
        (toy_store.SWAPPED, {}, errors.ParityError, "logits differ"),
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
