"""Signatures, held to RFC 8032's own example and to OpenSSL."""

import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.store import errors, keys, signature
from adapters.store.trust import TrustedKey

# RFC 8032, section 7.1, test 3.
SECRET = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
PUBLIC = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
MESSAGE = bytes.fromhex("af82")
SIGNATURE = (
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)
LINE = f"ed25519 {PUBLIC} {SIGNATURE}\n".encode()
TRUSTED = {bytes.fromhex(PUBLIC): TrustedKey("maker.pub")}


def test_it_is_that_of_the_standard():
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SECRET))
    assert signature.sign(MESSAGE, key) == LINE
    assert signature.verify(MESSAGE, LINE, TRUSTED) == (TrustedKey("maker.pub"), None)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_openssl_makes_the_keys_and_checks_the_signature(tmp_path, good, path):
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    line = signature.sign(good, keys.read_private_key(private))
    assert signature.verify(good, line, keys.read_trusted_keys([public])).key.file == str(public)
    path.write_bytes(good)
    (tmp_path / "raw").write_bytes(bytes.fromhex(line.split()[2].decode()))
    openssl(
        *("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", path),
        *("-sigfile", tmp_path / "raw"),
    )


def test_unsigned_and_untrusted_are_told_apart():
    with pytest.raises(errors.UnsignedError, match=r"no signature.*TASK\.patch\.sig"):
        signature.verify(MESSAGE, None, TRUSTED)
    with pytest.raises(errors.UntrustedKeyError, match=f"unknown key {PUBLIC[:12]}"):
        signature.verify(MESSAGE, LINE, {bytes(32): TrustedKey("other.pub")})


def test_every_change_is_refused():
    """Each flipped bit of message and line, each shorter line, and other spellings of the line."""
    changed = [
        (bytes([*data[:at], data[at] ^ 1 << bit, *data[at + 1 :]]), data is MESSAGE)
        for data in (MESSAGE, LINE)
        for at in range(len(data))
        for bit in range(8)
    ]
    lines = [line for line, of_message in changed if not of_message]
    lines += [LINE[:size] for size in range(len(LINE))]
    lines += [LINE + b"\n", LINE.upper(), LINE.replace(b" ", b"  "), b" " + LINE]
    for message, line in [
        *((message, LINE) for message, of_message in changed if of_message),
        *((MESSAGE, line) for line in lines),
        (b"", LINE),
        (MESSAGE + b"\0", LINE),
    ]:
        with pytest.raises((errors.BadSignatureError, errors.UntrustedKeyError)):
            signature.verify(message, line, TRUSTED)
        assert not signature.belongs(message, line)


def test_a_signature_belongs_whosever_it_is():
    assert signature.belongs(MESSAGE, LINE)
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert signature.belongs(MESSAGE, signature.sign(MESSAGE, stranger))
    assert not signature.belongs(MESSAGE, b"ed25519 " + b"f" * 64 + b" " + b"f" * 128 + b"\n")


def test_the_file_beside_a_patch(tmp_path):
    patch = tmp_path / "a.patch"
    assert signature.read_signature(patch) is None
    beside = tmp_path / "a.patch.sig"
    beside.write_bytes(LINE)
    assert signature.read_signature(patch) == LINE
    beside.write_bytes(LINE * 20)
    with pytest.raises(errors.BadSignatureError, match=r"a\.patch\.sig: this is no signature"):
        signature.read_signature(patch)
    beside.unlink()
    beside.mkdir()
    with pytest.raises(errors.NotRegularFileError, match=r"a\.patch\.sig"):
        signature.read_signature(patch)
