"""Signs patch files, so that a device can tell yours from anybody else's.

    launch/sign --new_key=keys/maker              # once: keys/maker, and keys/maker.pub beside it
    launch/sign --new_key=keys/maker --encrypted  # the same, with a passphrase that is asked for
    launch/sign out/*.patch --key=keys/maker      # writes out/TASK.patch.sig for each

keys/maker stays with you: who has it can sign as you. Give keys/maker.pub to whoever installs your
patches; they pass it as --trusted to launch/verify and launch/install. A patch that was trained
again has to be signed again. docs/device.md says more.
"""

import getpass
import os
from collections.abc import Sequence

from absl import app, flags
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters import files
from adapters.store import signature
from adapters.store.errors import naming
from adapters.store.keys import new_key, read_private_key
from adapters.store.read import decode_patch, read_bytes
from launch import command

_KEY = flags.DEFINE_string("key", None, "File of the private key to sign with.")
_ENCRYPTED = flags.DEFINE_bool("encrypted", False, "Encrypt the new key by a passphrase.")
_NEW_KEY = flags.DEFINE_string(
    "new_key", None, "Make a key pair: a private key in this file, its public half in FILE.pub."
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
    private = read_private_key(key, lambda: _asked(f"Passphrase of {key}: "))
    for path in paths:
        print(f"{_signed(path, private)} is written.")


def _new_passphrase() -> bytes:
    first, again = _asked("New passphrase: "), _asked("The same again: ")
    if not first or first != again:
        raise app.UsageError("the two passphrases differ, or are empty.")
    return first


def _asked(question: str) -> bytes:
    """A passphrase from the terminal, or from the variable MODELPATCH_PASSPHRASE."""
    known = os.environ.get("MODELPATCH_PASSPHRASE")
    return (getpass.getpass(question) if known is None else known).encode()


def _signed(path: str, key: Ed25519PrivateKey) -> str:
    """Signs the patch at `path`, if it is whole; the signature's file."""
    data = read_bytes(path)
    with naming(path):
        decode_patch(data)
    beside = signature.signature_path(path)
    files.write_bytes(beside, signature.sign(data, key))
    return str(beside)


if __name__ == "__main__":
    command.run(main, compiles=False)
