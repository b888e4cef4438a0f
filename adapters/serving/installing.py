"""How tasks come to a running server and go: for as long as it runs, or through a store."""

from collections.abc import Callable
from typing import Protocol

from adapters.files import NotDurableError
from adapters.serving.errors import SignedPatchError
from adapters.serving.network import MixedNetwork
from adapters.store.contents import PatchContents
from adapters.store.errors import UnsignedError
from adapters.store.installed import Store, check_task
from adapters.store.signature import belongs


class Installer(Protocol):
    """What a server asks to change its tasks; one call at a time."""

    def install(self, name: str, data: bytes, signature: bytes | None) -> PatchContents:
        """Installs a patch file's bytes, with those of its signature file, as the task `name`.

        Raises WrongTaskError for a patch of another task, another PatchFileError, or what
        `MixedNetwork.add` raises; then the task is what it was. After a NotDurableError it may be
        the new one.
        """

    def remove(self, name: str) -> None:
        """Removes a task.

        Raises UnknownNameError or NotInstalledError where there is none, and SignedPatchError for
        one that may not go like that.
        """


class InMemory:
    """Tasks that are gone when the server ends. Nobody's signature is asked for, nor a version.

    Args:
      network: that serves them.
      read: makes a patch file's bytes into its contents, through every check but parity.
    """

    def __init__(self, network: MixedNetwork, read: Callable[[bytes], PatchContents]):
        self._network, self._read = network, read

    def install(self, name: str, data: bytes, signature: bytes | None) -> PatchContents:
        contents = self._read(data)
        check_task(contents, name)
        self._network.add(contents)
        return contents

    def remove(self, name: str) -> None:
        self._network.remove(name)


class Stored:
    """Tasks that are active in a store, which checks their signatures and versions.

    A patch that came with a signature is replaced by another such, and not removed: whoever may ask
    for changes need not be its maker. That is so without trusted keys too.

    Args:
      network: that serves them.
      store: whose self-test asks `MixedNetwork.check`, so that it holds nothing that is not served.
    """

    def __init__(self, network: MixedNetwork, store: Store):
        self._network, self._store = network, store

    def install(self, name: str, data: bytes, signature: bytes | None) -> PatchContents:
        vouched = signature is not None and belongs(data, signature)
        if self._store.is_signed(name) and not vouched:
            raise UnsignedError(f"the patch of {name} is signed, and this one is not")
        try:
            contents = self._store.install_bytes(data, signature, name)
        except NotDurableError:
            # It may be active already; then the next start would answer otherwise than this one.
            active = self._store.active(name).contents
            if active is not None:
                self._network.add(active)
            raise
        self._network.add(contents)
        return contents

    def remove(self, name: str) -> None:
        if self._store.is_signed(name):
            raise SignedPatchError(
                f"the patch of {name} is signed, and a request to remove it is not: remove it in "
                "the store itself."
            )
        self._store.remove(name)
        if name in self._network.tasks:  # it is not while nothing in the store passes
            self._network.remove(name)
