"""A store whose backbone is a toy: its features are ones, so logits are sums of the head's columns.

Patches are spelled out by `make_patches`, with nothing of `adapters`.
"""

import hashlib
import pathlib
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.store import parity
from adapters.store.contents import PatchContents
from adapters.store.installed import Checks, Store
from adapters.store.store_backbone import StoreBackbone
from adapters.store.trust import TrustedKey
from tests.store import make_patches

MAKER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TRUSTED = {MAKER.public_key().public_bytes_raw(): TrustedKey("maker.pub")}
# The head's columns in another order: good but for parity.
SWAPPED = make_patches.TENSORS | {"head/w": ([3, 2], [1.0, 0.0, 3.0, 2.0, 5.0, 4.0])}


def patch(number: int = 0, version: str = "1.0.0", task: str = "tiny", **fields: Any) -> bytes:
    """A patch file whose head's first bias is `number`: what tells which patch answers."""
    tensors = make_patches.TENSORS | {"head/b": ([2], [float(number), 0.0])}
    stated = make_patches.CARD["parity"] | {"logits": [6.0 + number, 9.0]}
    card = make_patches.card_with(task={"name": task, "version": version}, parity=stated)
    return make_patches.assemble(card | fields, tensors)


def write(folder: pathlib.Path, content: bytes, name: str = "tiny.patch") -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def toy_parity(contents: PatchContents) -> None:
    logits = contents.head["w"].sum(axis=0, dtype=np.float64) + contents.head["b"]
    parity.check_logits(contents.parity.logits, logits, contents.parity.tolerance)


BACKBONE = StoreBackbone(**make_patches.CARD["backbone"])
CHECKS = Checks(make_patches.SHAPES, 3, BACKBONE, toy_parity)


def store(root: pathlib.Path, trusted=None, checks: Checks = CHECKS, **settings: Any) -> Store:
    """A store as a new process would open it."""
    return Store(root, checks, trusted=trusted, **settings)


def number(root: pathlib.Path, task: str = "tiny", trusted=None) -> int | None:
    """The number of the patch that answers for `task`, or None; and nothing may be passed over."""
    found = store(root, trusted).active(task)
    assert not found.refused, found.refused
    return None if found.contents is None else int(found.contents.head["b"][0])


def listing(root: pathlib.Path) -> list[str]:
    """Every file of the store, by its path in it."""
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def file_of(
    root: pathlib.Path, number: int, version: str = "1.0.0", task: str = "tiny"
) -> pathlib.Path:
    """Where the store keeps `patch(number, version, task)`."""
    digest = hashlib.sha256(patch(number, version, task)).hexdigest()
    return root / "patches" / task / f"{digest}.patch"


def damage(path: pathlib.Path) -> None:
    """Flips a bit of a file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
