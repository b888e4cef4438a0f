"""Signs patch files, so that a device can tell yours from anybody else's.

    launch/sign --new_key=keys/maker              # once: keys/maker, and keys/maker.pub beside it
    launch/sign --new_key=keys/maker --encrypted  # the same, with a passphrase that is asked for
    launch/sign out/*.patch --key=keys/maker      # writes out/TASK.patch.sig for each
    launch/sign device --key=keys/maker           # a folder: all its files, as device/folder.sig
    launch/sign out/digits.patch --key=keys/maker --valid_days=90
    launch/sign out/digits.patch --key=keys/maker --withdraws=4102444800

keys/maker stays with you: who has it can sign as you. Give keys/maker.pub to whoever installs your
patches; they pass it as --trusted to launch/verify and launch/install. A patch that was trained
again has to be signed again. A signature states a release: a device takes none that is lower than
one it has. By default it is the time of signing, in seconds since 1970. docs/device.md says more.
"""

import getpass
import os
import time
from collections.abc import Sequence

from absl import app, flags
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters import files
from adapters.store import signature, signed_folder
from adapters.store.errors import naming
from adapters.store.keys import new_key, read_private_key
from adapters.store.read import decode_patch, read_bytes
from adapters.store.release import Release
from launch import command

_DAY = 24 * 60 * 60  # seconds
_KEY = flags.DEFINE_string("key", None, "File of the private key to sign with.")
_ENCRYPTED = flags.DEFINE_bool("encrypted", False, "Encrypt the new key by a passphrase.")
_NEW_KEY = flags.DEFINE_string(
    "new_key", None, "Make a key pair: a private key in this file, its public half in FILE.pub."
)
_RELEASE = flags.DEFINE_integer(
    "release", None, "Number of this release (default: the time).", lower_bound=1
)
_VALID_DAYS = flags.DEFINE_integer(
    "valid_days", None, "Days after which a later release should have come.", lower_bound=1
)
_WITHDRAWS = flags.DEFINE_list(
    "withdraws",
    [],
    "Numbers of releases that were wrong: this one follows them though it is lower.",
)


def main(arguments: Sequence[str]) -> None:
    """Makes a key pair, or signs every file named."""
    paths, key, made = arguments[1:], _KEY.value, _NEW_KEY.value
    if made is not None:
        if paths or key is not None:
            raise app.UsageError("--new_key only makes keys; sign afterwards, with --key.")
        public = new_key(made, _new_passphrase() if _ENCRYPTED.value else None)
        print(f"{made} signs patches: keep it secret. {public} goes to whoever checks them.")
        return
    if not paths or key is None:
        raise app.UsageError("give patch files and --key, or make a key with --new_key=FILE.")
    private, release = read_private_key(key, lambda: _asked(f"Passphrase of {key}: ")), _release()
    for path in paths:
        if os.path.isdir(path):
            beside = os.path.join(path, signed_folder.NAME)
            files.write_bytes(beside, signed_folder.sign_folder(path, private))
            print(f"{beside} is written.")
        else:
            print(f"{_signed(path, private, release)} is written: release {release.number}.")


def _release() -> Release:
    if not all(text.isdecimal() for text in _WITHDRAWS.value):
        raise app.UsageError(f"--withdraws={','.join(_WITHDRAWS.value)} must be numbers.")
    now = int(time.time())
    days = _VALID_DAYS.value
    return Release(
        number=now if _RELEASE.value is None else _RELEASE.value,
        expires=None if days is None else now + days * _DAY,
        withdraws=tuple(int(text) for text in _WITHDRAWS.value),
    )


def _new_passphrase() -> bytes:
    first, again = _asked("New passphrase: "), _asked("The same again: ")
    if not first or first != again:
        raise app.UsageError("the two passphrases differ, or are empty.")
    return first


def _asked(question: str) -> bytes:
    """A passphrase from the terminal, or from the variable MODELPATCH_PASSPHRASE."""
    known = os.environ.get("MODELPATCH_PASSPHRASE")
    return (getpass.getpass(question) if known is None else known).encode()


def _signed(path: str, key: Ed25519PrivateKey, release: Release) -> str:
    """Signs the patch at `path`, if it is whole; the signature's file."""
    data = read_bytes(path)
    with naming(path):
        decode_patch(data)
    beside = signature.signature_path(path)
    files.write_bytes(beside, signature.sign(data, key, release))
    return str(beside)


if __name__ == "__main__":
    command.run(main, compiles=False)
