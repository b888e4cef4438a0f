"""From a folder and a backbone's name to a store that checks patches against that backbone."""

import pathlib

from adapters.experiment import backbones
from adapters.inference.self_test import self_test
from adapters.store.errors import naming
from adapters.store.installed import Checks, Store
from adapters.store.read import decode_patch, read_bytes
from adapters.store.signature import read_signature, verify
from adapters.store.store_backbone import StoreBackbone
from adapters.store.store_folder import StoreFolder
from adapters.store.trust import Trusted


def open_store(
    folder: str,
    backbone: str,
    weights: str | None,
    trusted: Trusted | None,
    accept_unsigned: bool = False,
) -> Store:
    """The store in `folder`, whose patches must fit the backbone and compute alike here.

    Args:
      folder: of installed patches, made by the first installation.
      backbone: the name of pretrained weights, or of a layer table with `weights`.
      weights: a local checkpoint.
      trusted: see `Store`; None checks no signature.
      accept_unsigned: see `Store`.

    Raises KeysNeededError, and what `backbones.load` raises.
    """
    loaded = backbones.load(backbone, weights)
    checkpoint = loaded.checkpoint
    test = self_test(loaded.network, loaded.weights, checkpoint.mean, checkpoint.std)
    known = StoreBackbone(backbone, loaded.fingerprint)
    checks = Checks(loaded.shapes, loaded.network.table.features, known, test)
    return Store(folder, checks, trusted=trusted, accept_unsigned=accept_unsigned)


def backbone_of(folder: str) -> str | None:
    """The backbone of the patches installed in `folder`; None while there are none.

    Raises StoreBackboneError or a PatchFileError.
    """
    store = StoreFolder(pathlib.Path(folder))
    known = store.backbone()
    return known.name if known is not None and store.tasks() else None


def named_backbone(path: str, trusted: Trusted | None) -> str:
    """The backbone that the patch at `path` names; believed only once the patch is verified.

    Raises a PatchFileError.
    """
    with naming(path):
        data = read_bytes(path)
        if trusted is not None:
            verify(data, read_signature(path), trusted)
        return decode_patch(data).backbone
