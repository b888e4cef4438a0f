"""A device that answers with nothing but what a store holds.

    trusted = read_trusted_keys(["maker.pub"])  # of adapters.store.keys
    device = StoredDevice("backbone.tflite", "store", trusted=trusted)
    device.install("digits.patch")
    device.run("digits", pathlib.Path("three.png").read_bytes()).label

What is installed stays installed: it answers again at the next start, which trusts nothing of the
one before. LiteRT and no JAX, as in `runtime`.
"""

import functools
import os
import threading
import time
from collections.abc import Callable, Mapping

from adapters.errors import ModelPatchError
from adapters.files import NotDurableError
from adapters.runtime.device import Device
from adapters.runtime.feeds import How, check_how
from adapters.store.contents import PatchContents
from adapters.store.errors import ExpiredError
from adapters.store.installed import Checks, Store
from adapters.store.store_backbone import StoreBackbone
from adapters.store.trust import Trusted


def open_store(
    device: Device,
    folder: str | os.PathLike[str],
    trusted: Trusted | None,
    how: How = "auto",
    accept_unsigned: bool = False,
    clock: Callable[[], float] = time.time,
) -> Store:
    """The store in `folder`, of which every patch must prove itself on this device's graph.

    Args:
      device: with the backbone; nothing is installed on it.
      folder: of the store; the first installation makes it.
      trusted: see `Store`.
      how: patches are to be installed.
      accept_unsigned: see `Store`.
      clock: see `Store`.

    Raises KeysNeededError.
    """
    graph = device.graph
    checks = Checks(
        graph.shapes,
        graph.features,
        StoreBackbone(graph.backbone, graph.fingerprint),
        self_test=functools.partial(device.prove, how=how),
    )
    return Store(folder, checks, trusted=trusted, accept_unsigned=accept_unsigned, clock=clock)


class StoredDevice(Device):
    """A backbone, and the tasks that are active in a store: their signature and version checked.

    Any number of threads may call it; changes take turns. Other processes may change the store:
    `reload` takes up what they did.
    """

    def __init__(
        self,
        backbone: str | os.PathLike[str],
        store: str | os.PathLike[str],
        *,
        trusted: Trusted | None,
        accept_unsigned: bool = False,
        unsigned_graph: bool = False,
        threads: int = 1,
        how: How = "auto",
        clock: Callable[[], float] = time.time,
    ):
        """Opens what `launch/export` wrote, and installs what is active in the store.

        For each task that is its current patch, or else the previous one, or else none: the first
        that passes every check now, parity on this very graph among them. `refused` says what did
        not. One task's failure is no other's.

        Args:
          backbone: path of the exported graph.
          store: folder of the store; the first `install` makes it.
          trusted: the keys of `keys.read_trusted_keys`; None accepts unsigned patches too, and
            checks no signature.
          accept_unsigned: whether to do without keys even where patches were installed by some.
          unsigned_graph: whether to believe the graph though no key of `trusted` signed its folder.
          threads: that one call may use.
          how: patches are installed, see `Device.install`.
          clock: gives the seconds since 1970, for patches that expire.

        Raises what `Device` raises, KeysNeededError, and UnknownNameError for another `how`.
        """
        super().__init__(backbone, threads, None if unsigned_graph else trusted)
        check_how(how)
        self._folder, self._trusted, self._how = store, trusted, how
        self._accept_unsigned, self._clock = accept_unsigned, clock
        self._changing = threading.Lock()
        self._refused: dict[str, tuple[ModelPatchError, ...]] = {}
        self._expired: dict[str, ExpiredError] = {}
        self.reload()

    @property
    def refused(self) -> Mapping[str, tuple[ModelPatchError, ...]]:
        """By task, why its current patch was passed over, and the previous one if it was too."""
        return dict(self._refused)

    @property
    def expired(self) -> Mapping[str, ExpiredError]:
        """By task, that a patch answers for which nobody vouches any more: see `Active`."""
        return dict(self._expired)

    def install(self, patch: str | os.PathLike[str], how: How | None = None) -> str:
        """Installs a patch file, with the signature beside it, in the store and here.

        Args:
          patch: path of the file.
          how: until the next start or `reload`, instead of the device's own.

        Raises what `Store.install` and `Device.install` raise; then the task is what it was, here
        and in the store. After a NotDurableError it may be the new one, in both.
        """
        how = self._how if how is None else how
        with self._changing:
            try:
                contents = self._store(how).install(patch)
            except NotDurableError:
                self._follow()
                raise
            return self._take(contents, how)

    def roll_back(self, task: str) -> None:
        """Goes back to the patch before, see `Store.roll_back`, which also says what is raised."""
        with self._changing:
            self._take(self._store(self._how).roll_back(task), self._how)

    def remove(self, task: str) -> None:
        """Deletes the patches of a task; see `Store.remove`, which also says what is raised."""
        with self._changing:
            self._store(self._how).remove(task)
            self._forget(task)

    def reload(self) -> None:
        """Takes what the store holds now; a task of which nothing passes answers no more."""
        with self._changing:
            self._follow()

    def _follow(self) -> None:
        store = self._store(self._how)
        installed = store.tasks()
        for task in {*self.tasks(), *self._refused} - {*installed}:
            self._forget(task)
        for task in installed:
            found = store.active(task)
            refused = found.refused
            try:
                if found.contents is None:
                    self._forget(task)
                else:
                    self._take(found.contents, self._how)
                    if found.expired:
                        self._expired[task] = found.expired
            except ModelPatchError as error:  # it was proven just now: too little memory, say
                self._forget(task)
                refused += (error,)
            if refused:
                self._refused[task] = refused

    def _store(self, how: How) -> Store:
        return open_store(
            self, self._folder, self._trusted, how, self._accept_unsigned, self._clock
        )

    def _take(self, contents: PatchContents, how: How) -> str:
        self.install_contents(contents, how)
        self._refused.pop(contents.task, None)
        self._expired.pop(contents.task, None)
        return contents.task

    def _forget(self, task: str) -> None:
        self._refused.pop(task, None)
        self._expired.pop(task, None)
        if task in self.tasks():
            super().remove(task)
