"""Signs patch files, so that a device can tell yours from anybody else's.

    launch/sign --new_key=keys/maker              # once: keys/maker, and keys/maker.pub beside it
    launch/sign out/*.patch --key=keys/maker      # writes out/TASK.patch.sig for each

keys/maker stays with you: who has it can sign as you. Give keys/maker.pub to whoever installs your
patches; they pass it as --trusted to launch/verify and launch/install. A patch that was trained
again has to be signed again. docs/device.md says more.
"""

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
_NEW_KEY = flags.DEFINE_string(
    "new_key", None, "Make a key pair: a private key in this file, its public half in FILE.pub."
)


def main(arguments: Sequence[str]) -> None:
    """Makes a key pair, or signs every file named."""
    paths, key, made = arguments[1:], _KEY.value, _NEW_KEY.value
    if made is not None:
        if paths or key is not None:
            raise app.UsageError("--new_key only makes keys; sign afterwards, with --key.")
        print(f"{made} signs patches: keep it secret. {new_key(made)} goes to whoever checks them.")
        return
    if not paths or key is None:
        raise app.UsageError("give patch files and --key, or make a key with --new_key=FILE.")
    private = read_private_key(key)
    for path in paths:
        print(f"{_signed(path, private)} is written.")


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
