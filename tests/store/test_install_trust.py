"""Whose patches a store accepts, and that it looks at nobody else's."""

import dataclasses

import pytest

from adapters.store import errors, signature
from adapters.store.trust import TrustedKey
from tests.store import make_patches, toy_store


def test_installing_without_the_signature_again_keeps_it(install, root):
    install(1, key=toy_store.MAKER, trusted=toy_store.TRUSTED)
    before = (root / "state" / "tiny.record").read_bytes()
    install(1)
    assert (root / "state" / "tiny.record").read_bytes() == before
    assert toy_store.number(root, trusted=toy_store.TRUSTED) == 1
    install(2, key=toy_store.STRANGER)
    install(1)  # the previous one
    assert toy_store.number(root, trusted=toy_store.TRUSTED) == 1
    install(2, key=toy_store.MAKER)  # another signature replaces the one before
    assert toy_store.number(root, trusted=toy_store.TRUSTED) == 2


@pytest.mark.parametrize(
    "beside",
    [
        signature.sign(toy_store.patch(2), toy_store.MAKER),
        b"ed25519 " + b"0" * 64 + b" " + b"0" * 128 + b"\n",
        b"ed25519 " + b"f" * 64 + b" " + b"f" * 128 + b"\n",
        b"\xff",
        b"",
    ],
)
def test_a_signature_of_other_bytes_does_not_replace_the_right_one(install, root, tmp_path, beside):
    """Where no key is configured, nobody refuses it."""
    install(1, key=toy_store.MAKER)
    before = (root / "state" / "tiny.record").read_bytes()
    path = toy_store.write(tmp_path, toy_store.patch(1))
    signature.signature_path(path).write_bytes(beside)
    toy_store.store(root).install(path)
    assert (root / "state" / "tiny.record").read_bytes() == before
    assert toy_store.number(root, trusted=toy_store.TRUSTED) == 1


def test_a_revoked_patch_does_not_push_out_the_good_one_behind_it(install, root):
    both = toy_store.TRUSTED | {
        toy_store.STRANGER.public_key().public_bytes_raw(): TrustedKey("stranger.pub")
    }
    install(1, key=toy_store.MAKER, trusted=both)
    install(2, key=toy_store.STRANGER, trusted=both)
    install(3, key=toy_store.MAKER, trusted=toy_store.TRUSTED)
    assert toy_store.number(root, trusted=toy_store.TRUSTED) == 3
    toy_store.damage(toy_store.file_of(root, 3))
    found = toy_store.store(root, toy_store.TRUSTED).active("tiny")
    assert found.contents.head["b"][0] == 1
    assert [type(error) for error in found.refused] == [errors.DigestError]


def test_only_who_is_trusted_gets_in(install, root):
    install(1, key=toy_store.MAKER, trusted=toy_store.TRUSTED)
    assert toy_store.number(root, trusted=toy_store.TRUSTED) == 1
    for key, error in (
        (None, errors.UnsignedError),
        (toy_store.STRANGER, errors.UntrustedKeyError),
    ):
        with pytest.raises(error, match=r"tiny\.patch"):
            install(2, "2.0.0", key=key, trusted=toy_store.TRUSTED)
    assert toy_store.number(root, trusted=toy_store.TRUSTED) == 1


def changed_preprocessing():
    return {"preprocessing": make_patches.CARD["preprocessing"] | {"mean": [0.0, 0.0, 0.0]}}


@pytest.mark.parametrize(
    "forged",
    [
        toy_store.patch(1, **changed_preprocessing()),
        make_patches.assemble(make_patches.CARD, toy_store.SWAPPED),
        toy_store.patch(2),
        toy_store.patch(1)[:-1],
    ],
)
def test_a_forger_who_recomputes_the_digest_cannot_sign(root, tmp_path, forged):
    path = toy_store.write(tmp_path, forged)
    signed = signature.sign(toy_store.patch(1), toy_store.MAKER)
    signature.signature_path(path).write_bytes(signed)
    with pytest.raises(errors.BadSignatureError, match=r"by maker\.pub does not belong"):
        toy_store.store(root, toy_store.TRUSTED).install(path)
    assert toy_store.listing(root) == []


def test_what_is_not_vouched_for_is_not_interpreted(root, tmp_path):
    path = toy_store.write(tmp_path, b"\xff" * 100)
    with pytest.raises(errors.UnsignedError):
        toy_store.store(root, toy_store.TRUSTED).install(path)


def test_signatures_are_checked_again_at_every_start(install, root):
    """Keys that are configured later, or trusted no more, count at once."""
    install(1)
    install(2, key=toy_store.STRANGER)
    found = toy_store.store(root, toy_store.TRUSTED).active("tiny")
    assert found.contents is None
    assert [type(error) for error in found.refused] == [
        errors.UntrustedKeyError,
        errors.UnsignedError,
    ]
    install(3, key=toy_store.MAKER, trusted=toy_store.TRUSTED)
    assert toy_store.number(root, trusted=toy_store.TRUSTED) == 3
    others = {toy_store.STRANGER.public_key().public_bytes_raw(): TrustedKey("stranger.pub")}
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
    assert toy_store.file_of(root, 1).exists()
