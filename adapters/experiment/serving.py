"""From patch files or a store to a network that serves them, and to what changes its tasks."""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

from absl import logging

from adapters.errors import ModelPatchError
from adapters.experiment import backbones
from adapters.experiment.backbones import Loaded
from adapters.experiment.installation import backbone_of
from adapters.heads import linear
from adapters.heads.registry import head_of
from adapters.preprocessing import Preprocessing
from adapters.runtime.preprocessing_check import check_preprocessing
from adapters.serving.access import AccessError
from adapters.serving.installing import InMemory, Stored
from adapters.serving.network import MixedNetwork, Tabled
from adapters.store.contents import PatchContents
from adapters.store.errors import naming
from adapters.store.installed import Checks, NotInstalledError, Store
from adapters.store.read import decode_patch, read_bytes, read_patch
from adapters.store.store_backbone import StoreBackbone
from adapters.store.trust import Trusted

TOKEN_VARIABLE = "MODELPATCH_CHANGES_TOKEN"


class NoSizeError(ModelPatchError):
    """Nothing says for which size of image to compile."""


class TwiceError(ModelPatchError):
    """Two files are for one task."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What was asked for of a network.

    Attributes:
      backbone: its name; None for that of the first patch, or of the store.
      weights: its local checkpoint, if it needs one.
      sizes: sides of its images, in pixels; none for those of the patches.
      capacity, batches, tabled: see `MixedNetwork`.
    """

    backbone: str | None
    weights: str | None
    sizes: Sequence[int]
    capacity: int
    batches: Sequence[int]
    tabled: Tabled


def from_files(paths: Sequence[str], wanted: Wanted) -> tuple[MixedNetwork, InMemory]:
    """A network that serves these patch files.

    Raises TwiceError, NoSizeError, a PatchFileError, and what `backbones.load` and
    `MixedNetwork.add` raise.
    """
    cards = [read_patch(path) for path in paths]
    names = [card.task for card in cards]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TwiceError(f"several of the files are for the task {twice[0]}: give one.")
    backbone = backbones.load(wanted.backbone or cards[0].backbone, wanted.weights)
    network = _network(backbone, cards, wanted)

    def check(contents: PatchContents) -> None:
        check_preprocessing(contents, backbone.checkpoint.mean, backbone.checkpoint.std)

    read = functools.partial(
        decode_patch,
        shapes=backbone.shapes,
        features=backbone.network.table.features,
        fingerprint=backbone.fingerprint,
        check_parity=check,
    )
    for path in paths:
        with naming(path):
            network.add(read(read_bytes(path)))
    return network, InMemory(network, read)


def from_store(
    folder: str, trusted: Trusted | None, wanted: Wanted, accept_unsigned: bool = False
) -> tuple[MixedNetwork, Stored]:
    """A network that serves what is active in a store, and changes it there.

    What does not pass every check now is passed over, for the patch before it or for none, and
    logged.

    Args:
      folder: of the store.
      trusted: see `Store`.
      wanted: of the network.
      accept_unsigned: see `Store`.

    Raises KeysNeededError; NotInstalledError where neither the store nor `wanted` names a backbone;
    NoSizeError, or why the first patch is refused, where nothing says the size; and what
    `backbones.load` raises.
    """
    name = wanted.backbone or backbone_of(folder)
    if name is None:
        raise NotInstalledError(
            f"{folder} does not say which backbone its patches are for: check that it is a store, "
            "or give the backbone.",
            settings=["store", "backbone"],
        )
    backbone = backbones.load(name, wanted.weights)
    about = StoreBackbone(name, backbone.fingerprint)
    features = backbone.network.table.features

    def opened(self_test: Callable[[PatchContents], None]) -> Store:
        checks = Checks(backbone.shapes, features, about, self_test)
        return Store(folder, checks, trusted=trusted, accept_unsigned=accept_unsigned)

    # What is vouched for says the size of the network that everything then has to prove itself on.
    vouched = opened(lambda _: None)
    found = [vouched.active(task) for task in vouched.tasks()]
    cards = [active.contents for active in found if active.contents is not None]
    refused = [refusal for active in found for refusal in active.refused]
    if not wanted.sizes and not cards and refused:
        raise refused[0]
    network = _network(backbone, cards, wanted)
    pixels = backbone.checkpoint.mean, backbone.checkpoint.std

    def prove(contents: PatchContents) -> None:
        check_preprocessing(contents, *pixels)
        network.check(contents)

    store = opened(prove)
    for task in store.tasks():
        active = store.active(task)
        for refusal in active.refused:
            logging.warning("%s is passed over: %s", task, refusal)
        if active.expired:
            logging.warning("%s answers still, though %s", task, active.expired)
        if active.contents is not None:
            network.add(active.contents)
    return network, Stored(network, store)


def changes_token(path: str | None) -> str | None:
    """The token that lets clients change tasks: a file's text, or the environment's, or none.

    `Access` says whether it can be one. Raises OSError where the file cannot be read, and
    AccessError where others can read it too.
    """
    if path is None:
        return os.environ.get(TOKEN_VARIABLE)
    with open(path, encoding="utf-8", errors="replace") as file:
        if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
            raise AccessError(
                f"{path} can be read by others, who could change what is served: make another "
                f"token, or, if nobody has, chmod 600 {path}.",
                settings=["changes_token"],
            )
        return file.read().strip()


def _network(backbone: Loaded, cards: Sequence[PatchContents], wanted: Wanted) -> MixedNetwork:
    sizes = wanted.sizes or sorted(
        {Preprocessing.from_json(card.preprocessing).size for card in cards}
    )
    if not sizes:
        raise NoSizeError(
            "no patch says for which size of image to compile: give one.", settings=["size"]
        )
    return MixedNetwork(
        backbone.network,
        backbone.weights,
        sizes,
        wanted.capacity,
        wanted.batches,
        wanted.tabled,
        next((card for card in cards if card.inputs), None),
        {*linear.TAPS, *(name for card in cards for name in head_of(card).taps)},
    )
