"""Keys as files: never overwritten, and nothing else taken for one."""

import errno
import itertools
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from adapters import files
from adapters.store import keys
from adapters.store.keys import KeyFileError
from adapters.store.trust import TrustedKey
from tests.store.faults import Faults

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8


def test_a_new_pair_belongs_together_and_is_its_owners(tmp_path):
    public = keys.new_key(tmp_path / "sub" / "maker")
    private = tmp_path / "sub" / "maker"
    assert public == tmp_path / "sub" / "maker.pub"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    held = keys.read_private_key(private).public_key().public_bytes_raw()
    assert keys.read_public_key(public) == held
    raw = tmp_path / "raw"
    raw.write_bytes(held)
    assert keys.read_public_key(raw) == held
    assert keys.read_trusted_keys([public, raw]) == {held: TrustedKey(str(public))}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_private_key_that_others_can_open_is_refused(tmp_path, mode):
    keys.new_key(tmp_path / "maker")
    (tmp_path / "maker").chmod(mode)
    with pytest.raises(KeyFileError, match=r"can be read by others.*chmod 600"):
        keys.read_private_key(tmp_path / "maker")


def test_an_encrypted_key_is_opened_by_its_passphrase_alone(tmp_path):
    private = tmp_path / "maker"
    public = keys.new_key(private, b"correct horse")
    assert b"ENCRYPTED" in private.read_bytes()
    held = keys.read_private_key(private, lambda: b"correct horse")
    assert held.public_key().public_bytes_raw() == keys.read_public_key(public)
    with pytest.raises(KeyFileError, match="not opened by this passphrase"):
        keys.read_private_key(private, lambda: b"battery staple")
    with pytest.raises(KeyFileError, match="is encrypted: give its passphrase"):
        keys.read_private_key(private)
    # OpenSSL's own reader, through the library, agrees.
    assert serialization.load_pem_private_key(private.read_bytes(), b"correct horse")


@pytest.mark.parametrize("name", ["maker", "maker.pub"])
def test_no_key_is_ever_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(KeyFileError, match=f"{name} exists already"):
        keys.new_key(tmp_path / "maker")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_no_half_a_pair_is_left_whatever_call_fails(tmp_path, monkeypatch):
    """Each call of the operating system fails in turn; the next call then makes the pair."""
    failures = []
    for fatal in itertools.count(1):
        folder = tmp_path / str(fatal)
        failed = None
        with monkeypatch.context() as patched:
            faults = Faults(patched, fatal, errno.ENOSPC)
            try:
                keys.new_key(folder / "maker")
            except files.NotWrittenError as error:
                failed = error
        if len(faults.calls) < fatal:
            break
        # `mkdir` of a folder that is there already may fail and change nothing.
        if failed is not None:
            failures.append(faults.calls[fatal - 1])
            assert "No space left" in str(failed)
            assert not folder.exists() or not list(folder.iterdir())
            keys.new_key(folder / "maker")
        assert sorted(path.name for path in folder.iterdir()) == ["maker", "maker.pub"]
    assert failed is None
    kinds = ("open", "fdopen", "write", "fsync")
    assert [failures.count(kind) for kind in kinds] == [4, 2, 2, 4]


def test_what_is_no_private_key(tmp_path):
    path = tmp_path / "key"
    maker = Ed25519PrivateKey.generate()
    locked = maker.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"secret"))
    curve = ec.generate_private_key(ec.SECP256R1())
    other = curve.private_bytes(PEM, PKCS8, serialization.NoEncryption())
    for content, said in (
        (b"", "holds no private key"),
        (b"\xff" * 32, "holds no private key"),
        (b"a" * 2**15, "at most 16384"),
        (locked, "is encrypted"),
        (other, "is no Ed25519 key"),
        (_pem(maker.public_key()), "holds no private key"),
    ):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(KeyFileError, match=f"{path}.*{said}"):
            keys.read_private_key(path)
    with pytest.raises(KeyFileError, match="there is no such file"):
        keys.read_private_key(tmp_path / "none")


def test_what_is_no_public_key(tmp_path):
    path = tmp_path / "key"
    maker = Ed25519PrivateKey.generate()
    private = maker.private_bytes(PEM, PKCS8, serialization.NoEncryption())
    for content, said in (
        (b"", "holds no public key"),
        (b"a" * 31, "holds no public key"),
        (bytes(32), "nobody's public key"),
        (bytes([1, *bytes(31)]), "nobody's public key"),
        (b"these words are just 32 bytes...", "nobody's public key"),
        (_pem(Ed25519PublicKey.from_public_bytes(bytes(32))), "nobody's public key"),
        (private, "is a private key"),
        (_pem(ec.generate_private_key(ec.SECP256R1()).public_key()), "is no Ed25519 key"),
    ):
        path.write_bytes(content)
        with pytest.raises(KeyFileError, match=f"{path}.*{said}"):
            keys.read_public_key(path)


def test_the_trusted_set_is_every_file_of_a_folder(tmp_path):
    folder = tmp_path / "trusted"
    folder.mkdir()
    for paths in ([], [folder]):
        with pytest.raises(KeyFileError, match="no public key to trust"):
            keys.read_trusted_keys(paths)
    makers = [Ed25519PrivateKey.generate() for _ in range(3)]
    for number, maker in enumerate(makers):
        (folder / str(number)).write_bytes(_pem(maker.public_key()))
    (folder / ".note").write_text("hidden files are none of ours")
    found = keys.read_trusted_keys([folder])
    assert found == {
        maker.public_key().public_bytes_raw(): TrustedKey(str(folder / str(number)))
        for number, maker in enumerate(makers)
    }
    (folder / "note").write_text("not a key")
    with pytest.raises(KeyFileError, match="note holds no public key"):
        keys.read_trusted_keys([folder])
    with pytest.raises(KeyFileError, match="there is no such file"):
        keys.read_trusted_keys([tmp_path / "none"])


def test_a_key_s_file_says_what_it_is_trusted_for(tmp_path):
    path, pem = tmp_path / "key", _pem(Ed25519PrivateKey.generate().public_key())
    for before, tasks in (
        ("", None),
        ("# from the shop\n\n", None),
        ("tasks: digits\n", ("digits",)),
        ("# from the shop\ntasks: digits, shop-*\n", ("digits", "shop-*")),
    ):
        path.write_bytes(before.encode() + pem)
        ((_, found),) = keys.read_trusted_keys([path]).items()
        assert found == TrustedKey(str(path), tasks)
    for before in (
        "task: digits\n",
        "tasks:\n",
        "tasks: a,,b\n",
        "tasks: a\ntasks: b\n",
        "digits\n",
    ):
        path.write_bytes(before.encode() + pem)
        with pytest.raises(KeyFileError, match="before its key"):
            keys.read_trusted_keys([path])
    path.write_bytes(b"tasks: digits\n" + pem)
    (tmp_path / "other").write_bytes(pem)
    with pytest.raises(KeyFileError, match="hold the same key"):
        keys.read_trusted_keys([path, tmp_path / "other"])


def _pem(public):
    return public.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
