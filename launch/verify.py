"""Checks patch files that somebody sent: who signed them, and that nothing was changed.

    launch/verify digits.patch --trusted=keys/maker.pub
    launch/verify device --trusted=keys/maker.pub   # a folder: every file of it, and no other

The signature is read from FILE.sig, beside the file. Everything that a file can prove by itself is
checked too; whether it fits a backbone and computes alike here, launch/install checks.
"""

import os
import time
from collections.abc import Sequence

from absl import app

from adapters.store.errors import naming
from adapters.store.keys import read_trusted_keys
from adapters.store.read import decode_patch, read_bytes
from adapters.store.signature import read_signature, verify
from adapters.store.signed_folder import check_folder
from launch import command, shared_flags

_TRUSTED = shared_flags.trusted()


def main(arguments: Sequence[str]) -> None:
    """Prints one line for each file; the first that is refused ends it."""
    if len(arguments) < 2 or not _TRUSTED.value:
        raise app.UsageError("give patch files and the keys to trust: FILE --trusted=maker.pub")
    trusted = read_trusted_keys(_TRUSTED.value)
    for path in arguments[1:]:
        if os.path.isdir(path):
            print(f"{path}: a folder, signed with {check_folder(path, trusted)}, undamaged")
            continue
        with naming(path):
            data = read_bytes(path)
            key, release = verify(data, read_signature(path), trusted)
            card = decode_patch(data)
            key.check_may_sign(card.task)
            if release is not None and (expired := release.expired(time.time())):
                raise expired
        which = "of no stated release" if release is None else f"release {release.number}"
        print(
            f"{path}: task {card.task} {card.task_version}, {which}, signed with {key}, undamaged"
        )


if __name__ == "__main__":
    command.run(main, compiles=False)
