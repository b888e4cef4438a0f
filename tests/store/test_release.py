"""Which release of a patch follows which, whatever their versions say."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.store import errors, signature
from adapters.store.installed import KeysNeededError
from adapters.store.release import LARGEST, STEP, Release, decode_release, encode_release
from adapters.store.trust import TrustedKey
from tests.store import toy_store

DIGEST = "a" * 64
NOW = 1_900_000_000
KEY = next(iter(toy_store.TRUSTED))


@pytest.fixture
def install_release(root):
    """Installs `toy_store.patch(number, version)` as a release, into a store with trusted keys."""

    def call(number, release, version="1.0.0", trusted=toy_store.TRUSTED, now=NOW):
        data = toy_store.patch(number, version)
        line = signature.sign(data, toy_store.MAKER, release and Release(**release))
        store = toy_store.store(root, trusted, accept_unsigned=True, clock=lambda: now)
        return store.install_bytes(data, line)

    return call


def number(root, **settings):
    found = toy_store.store(root, toy_store.TRUSTED, **settings).active("tiny")
    assert not found.refused
    return int(found.contents.head["b"][0])


@pytest.mark.parametrize(
    ("release", "text"),
    [
        (Release(7), b'{"release":7,"sha256":"%s"}'),
        (Release(7, expires=9), b'{"expires":9,"release":7,"sha256":"%s"}'),
        (Release(7, withdraws=(8, 9)), b'{"release":7,"sha256":"%s","withdraws":[8,9]}'),
    ],
)
def test_its_spelling(release, text):
    statement = text % DIGEST.encode()
    assert encode_release(release, DIGEST) == statement
    assert decode_release(statement) == (release, DIGEST)


@pytest.mark.parametrize(
    "fields",
    [
        *({"number": number} for number in (0, -1, LARGEST + 1, 1.0, True, "1", None)),
        *({"number": 1, "expires": time} for time in (-1, 2**60, 1.5, "never")),
        {"number": 1, "withdraws": (1,)},
        {"number": 1, "withdraws": tuple(range(2, 40))},
        {"number": 1, "withdraws": ("2",)},
    ],
)
def test_what_is_no_release(fields):
    with pytest.raises(errors.ReleaseError):
        Release(**fields)


@pytest.mark.parametrize(
    "statement",
    [
        b"{}",
        b"[]",
        b'{"release":7}',
        b'{"more":1,"release":7,"sha256":"a"}',
        b'{"release":7,"sha256":7}',
        b'{"release":"7","sha256":"a"}',
        b'{"release":7,"sha256":"a","withdraws":7}',
        b'{"sha256":"a","release":7}',  # not canonical
        b'{"release":7,"release":8,"sha256":"a"}',
    ],
)
def test_a_statement_that_is_not_understood_is_refused_whoever_signed_it(statement):
    with pytest.raises(errors.ReleaseError):
        decode_release(statement)
    signed = toy_store.MAKER.sign(b"modelpatch release\n" + statement)
    line = f"ed25519 {KEY.hex()} {signed.hex()} ".encode() + statement + b"\n"
    with pytest.raises(errors.ReleaseError):
        signature.verify(toy_store.patch(1), line, toy_store.TRUSTED)
    assert not signature.belongs(toy_store.patch(1), line)
    assert signature.stated_number(line) is None


def test_every_change_of_a_statement_is_noticed():
    data = toy_store.patch(1)
    line = signature.sign(data, toy_store.MAKER, Release(7, NOW, (8,)))
    key = toy_store.TRUSTED[KEY]
    assert signature.verify(data, line, toy_store.TRUSTED) == (key, Release(7, NOW, (8,)))
    for at in range(len(line)):
        changed = bytes([*line[:at], line[at] ^ 1, *line[at + 1 :]])
        assert not signature.belongs(data, changed)
    assert not signature.belongs(data + b"\0", line)
    statement = line.split(b" ", 3)[3][:-1]
    bare = line.rsplit(b" ", 1)[0] + b"\n"
    for content in (data, statement, b"modelpatch release\n" + statement):
        assert signature.belongs(content, bare) is (content.startswith(b"modelpatch release"))
    Ed25519PublicKey.from_public_bytes(KEY).verify(
        bytes.fromhex(line.split()[2].decode()), b"modelpatch release\n" + statement
    )


def test_another_build_of_the_same_version_does_not_replace_a_later_one(install_release, root):
    install_release(2, {"number": 20})
    for release in (10, 20):
        with pytest.raises(errors.OlderReleaseError, match="release"):
            install_release(1, {"number": release})
    assert number(root) == 2
    install_release(2, {"number": 20})  # the very same file
    install_release(1, {"number": 21}, "0.9.0")  # a version is for people
    assert number(root) == 1


def test_the_same_file_may_come_back_after_it_was_removed(install_release, root):
    install_release(1, {"number": 20})
    toy_store.store(root, toy_store.TRUSTED).remove("tiny")
    with pytest.raises(errors.OlderReleaseError, match="another file"):
        install_release(2, {"number": 20})
    install_release(1, {"number": 20})
    assert number(root) == 1


def test_no_version_blocks_a_task_for_ever(install, install_release, root):
    install(1, "999999999")  # unsigned, without keys
    with pytest.raises(errors.OlderVersionError):
        install_release(2, None, "2.0.0")
    install_release(2, {"number": NOW}, "2.0.0")
    install_release(3, {"number": NOW + 1}, "2.0.1")
    assert number(root) == 3


def test_a_release_far_ahead_is_no_step_and_one_ahead_is_followed(install_release, root):
    install_release(1, {"number": NOW})
    with pytest.raises(errors.ReleaseError, match="too far above"):
        install_release(2, {"number": NOW + STEP + 1})
    install_release(2, {"number": NOW + STEP})
    with pytest.raises(errors.OlderReleaseError):
        install_release(3, {"number": NOW + 1})
    install_release(3, {"number": NOW + STEP + 1})
    assert number(root) == 3


def test_a_wrong_release_is_taken_back_by_a_signed_one_and_for_good(install_release, root):
    install_release(1, {"number": NOW})
    install_release(2, {"number": NOW + STEP})
    with pytest.raises(errors.OlderReleaseError):
        install_release(3, {"number": NOW + 5, "withdraws": (NOW + 7,)})
    back = {"number": NOW + 5, "withdraws": (NOW + STEP,)}
    install_release(3, back)
    assert number(root) == 3
    with pytest.raises(errors.OlderReleaseError, match="took release"):
        install_release(2, {"number": NOW + STEP})
    # What was taken back is nothing to fall back to.
    toy_store.damage(toy_store.file_of(root, 3))
    found = toy_store.store(root, toy_store.TRUSTED).active("tiny")
    assert found.contents is None or found.contents.head["b"][0] == 1
    install_release(4, {"number": NOW + 6})
    with pytest.raises(errors.OlderReleaseError):
        install_release(3, back)  # it takes nothing back twice
    assert number(root) == 4


def test_signatures_without_a_release_are_taken_until_one_was_counted(install_release, root):
    install_release(1, None, "1.0.0")
    install_release(2, None, "1.1.0")
    install_release(3, {"number": 1}, "1.0.0")
    with pytest.raises(errors.OlderReleaseError, match="without a release, 1 was"):
        install_release(4, None, "3.0.0")
    # Without keys nobody's statement is believed: versions order what is there.
    with pytest.raises(errors.OlderVersionError):
        install_release(4, {"number": 99}, "0.9.0", trusted=None)
    install_release(4, {"number": 99}, "1.0.1", trusted=None)
    install_release(5, {"number": 2}, "1.0.0")
    assert number(root) == 5


def test_a_patch_that_expired_is_not_installed_and_one_that_answers_says_so(install_release, root):
    install_release(1, {"number": 1, "expires": NOW})
    assert (
        toy_store.store(root, toy_store.TRUSTED, clock=lambda: NOW).active("tiny").expired is None
    )
    found = toy_store.store(root, toy_store.TRUSTED, clock=lambda: NOW + 1).active("tiny")
    assert found.contents.head["b"][0] == 1
    assert not found.refused
    assert "until 2030-03-17 17:46 UTC" in str(found.expired)
    with pytest.raises(errors.ExpiredError, match="holding it back"):
        install_release(2, {"number": 2, "expires": NOW - 1})
    assert number(root) == 1


def test_a_store_filled_by_trusted_keys_opens_without_them_only_when_told(install_release, root):
    unkeyed = toy_store.store(root)
    install_release(1, None)
    with pytest.raises(KeysNeededError, match="installed by keys that were trusted"):
        toy_store.store(root)
    with pytest.raises(KeysNeededError):  # it was opened before
        unkeyed.install_bytes(toy_store.patch(2, "2.0.0"), None)
    assert number(root) == 1
    told = toy_store.store(root, accept_unsigned=True)
    told.install_bytes(toy_store.patch(2, "2.0.0"), None)
    assert told.active("tiny").contents.head["b"][0] == 2


@pytest.mark.parametrize("tasks", [("tiny",), ("other", "ti*"), ("*",), None])
def test_a_key_may_sign_for_the_tasks_it_is_trusted_for(install_release, root, tasks):
    install_release(1, {"number": 1}, trusted={KEY: TrustedKey("maker.pub", tasks)})
    assert number(root) == 1


@pytest.mark.parametrize("tasks", [("other",), ("tin",), ("tiny2", "x*")])
def test_and_for_no_other(install_release, root, tasks):
    trusted = {KEY: TrustedKey("maker.pub", tasks)}
    for release in (None, {"number": 1}):
        with pytest.raises(errors.NotDelegatedError, match="not for 'tiny'"):
            install_release(1, release, trusted=trusted)
    assert toy_store.listing(root) == []
    install_release(1, {"number": 1})
    (refused,) = toy_store.store(root, trusted).active("tiny").refused
    assert type(refused) is errors.NotDelegatedError


def test_releases_survive_what_else_happens_to_a_task(install_release, root):
    install_release(1, {"number": 1})
    install_release(2, {"number": 2})
    store = toy_store.store(root, toy_store.TRUSTED)
    store.roll_back("tiny")
    store.remove("tiny")
    with pytest.raises(errors.OlderReleaseError):
        install_release(1, {"number": 1})
