"""The processes that train one run together: on one host or many, each with its own devices.

Every process runs the same program with the same settings. What is trained lies on all of them, and
all make the same choices; each reads and computes its own groups. The main one alone writes.
"""

import collections
import contextlib
import dataclasses
import functools
import itertools
import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from adapters.errors import ModelPatchError
from adapters.training import differences, placement
from adapters.training.interrupt import ProcessLostError, StoppedError

AUTO = "auto"
HEARTBEAT_TIMEOUT = 100  # seconds, JAX's own
LAG = 2  # steps until a request to stop is heard, so that no step waits for another process
_MAIN_TAKES = 24 * 3600  # seconds, at most: whether the main process lives is watched otherwise
_LEAVING = 20  # seconds that a process waits for the others when it ends
_AT_ONCE = 4096  # bytes; one program broadcasts what is no longer
_MEETINGS = itertools.count()


class ClusterError(ModelPatchError):
    """Processes cannot train together."""


class MainProcessError(ClusterError):
    """What the main process did for all of them went wrong there."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What this process is.

    Attributes:
      index: its number, from 0.
      count: of processes.
    """

    index: int
    count: int

    @property
    def main(self) -> bool:
        """Whether it is the one that writes, validates and reports."""
        return self.index == 0

    def by_main(self, do: Callable[[], Any]) -> Any:
        """What `do` gives on the main process, a JSON value; the others wait for it.

        Raises MainProcessError on the others where it raises an error of ours, or of the system, on
        the main one.
        """
        if self.count == 1:
            return do()
        said, failure = {}, None
        if self.main:
            try:
                said["gave"] = do()
            except (ModelPatchError, OSError) as error:
                said["failed"], failure = str(error), error
        _meet()
        told = json.loads(_told(json.dumps(said).encode()))
        if failure is not None:
            raise failure
        if "failed" in told:
            raise MainProcessError(f"process 0: {told['failed']}")
        return told["gave"]

    def from_main(self, tree: Any) -> Any:
        """The main process's arrays, as bytes; `tree` has the same shapes and dtypes on all."""
        if self.count == 1:
            return tree
        leaves, structure = jax.tree.flatten(tree)
        own = [np.asarray(leaf) for leaf in leaves]
        told = _told(b"".join(leaf.tobytes() for leaf in own))
        ends = np.cumsum([leaf.nbytes for leaf in own])
        found = [
            np.frombuffer(told[end - leaf.nbytes : end], leaf.dtype).reshape(leaf.shape)
            for leaf, end in zip(own, ends, strict=True)
        ]
        return jax.tree.unflatten(structure, found)

    def check_same(self, settings: Any) -> None:
        """Raises ClusterError, on all, where a process has other `settings`, JSON, than another."""
        own = json.loads(json.dumps(settings))
        main = self.by_main(lambda: own)
        differing = differences.between(differences.flat(main), differences.flat(own))
        others = [index for index, differs in enumerate(_all_told(bool(differing))) if differs]
        if others:
            said = f": {differences.in_words(differing)}" if differing else ""
            raise ClusterError(
                f"process {', '.join(map(str, others))} has other settings or data than process 0"
                f"{said}. Start all of them alike."
            )


class Agreement:
    """What all processes know of why a run may end, asked once a step by each."""

    def __init__(self, mesh: Mesh):
        self._mesh = mesh
        self._own = len(placement.own_groups(mesh, mesh.size))
        self._asked: collections.deque[jax.Array] = collections.deque()
        self._highest = jax.jit(
            functools.partial(jnp.max, axis=0), out_shardings=placement.everywhere(mesh)
        )

    def __call__(
        self, reason: str | None, seconds: Callable[[], float]
    ) -> tuple[str | None, Callable[[], float]]:
        """Why any of them was asked to stop, and the longest time that any has spent.

        As of `LAG` steps ago; one process alone gets back what it gives.

        Args:
          reason: the signal, `SIGTERM` say, that asked this process by now.
          seconds: that it has spent.
        """
        if jax.process_count() == 1:
            return reason, seconds
        number = float(signal.Signals[reason]) if reason else 0.0
        asked = np.tile(np.asarray([[number, seconds()]], np.float32), (self._own, 1))
        self._asked.append(self._highest(placement.shared_out(self._mesh, asked)))
        if len(self._asked) <= LAG:
            return None, lambda: 0.0
        number, heard = np.asarray(self._asked.popleft()).tolist()
        return signal.Signals(int(number)).name if number else None, lambda: heard


def current() -> Cluster:
    """What this process is; alone, unless it has joined others."""
    return Cluster(jax.process_index(), jax.process_count())


def check_alone(what: str) -> None:
    """Raises ClusterError where this process has joined others, for what only one can do."""
    if jax.process_count() > 1:
        raise ClusterError(f"{what} takes one process: start it without a coordinator.")


@contextlib.contextmanager
def cluster(
    coordinator: str,
    processes: int | None = None,
    process: int | None = None,
    heartbeat_timeout: int = HEARTBEAT_TIMEOUT,
) -> Iterator[Cluster]:
    """Joins the processes that train together, for as long as the block runs.

    It has to come before anything that asks JAX for its devices, such as settings of a run. All of
    them wait here for each other, for five minutes at most.

    Args:
      coordinator: `HOST:PORT` of process 0, on a port that is free there; or `auto`, where SLURM,
        Open MPI, Kubernetes or a TPU's environment says everything.
      processes: how many there are.
      process: which one this is, from 0.
      heartbeat_timeout: seconds without a sign of life after which a process counts as lost, and
        the others end. Short ones end a run for a host that is only busy.

    Raises ClusterError where they cannot be joined.
    """
    if heartbeat_timeout < 1:
        raise ClusterError(
            f"the heartbeat_timeout must be 1 second or more, not {heartbeat_timeout}.",
            settings=["heartbeat_timeout"],
        )
    auto = coordinator == AUTO
    if auto != (processes is None) or auto != (process is None):
        raise ClusterError(
            "processes and process belong to the address of a coordinator, both of them; the "
            f"coordinator {AUTO!r} finds them in the environment.",
            settings=["coordinator", "processes", "process"],
        )
    # Its handler would swallow SIGTERM before and after training.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        if auto:
            jax.distributed.initialize(
                heartbeat_timeout_seconds=heartbeat_timeout, shutdown_timeout_seconds=_LEAVING
            )
        else:
            jax.distributed.initialize(
                *(coordinator, processes, process),
                cluster_detection_method="deactivate",
                heartbeat_timeout_seconds=heartbeat_timeout,
                shutdown_timeout_seconds=_LEAVING,
            )
    except (RuntimeError, TypeError, ValueError) as error:
        raise ClusterError(
            f"this process cannot join others at the coordinator {coordinator}: {error}",
            settings=["coordinator", "processes", "process"],
        ) from error
    try:
        yield current()
    except StoppedError:
        jax.distributed.shutdown()  # all of them have stopped
        raise
    jax.distributed.shutdown()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Within the block, the loss of another process is said in words.

    Raises ProcessLostError.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1 or "RESOURCE_EXHAUSTED" in str(error):
            raise
        raise ProcessLostError(
            "another process of the run has ended, or cannot be reached "
            f"({str(error).splitlines()[0]}). Start all of them again, and resume.",
            settings=["resume"],
        ) from error


def _all_told(value: bool) -> list[bool]:
    """The value of every process, in order."""
    from jax.experimental.multihost_utils import process_allgather

    return process_allgather(np.asarray(value)).tolist()


def _meet() -> None:
    """Waits for all processes, by the coordinator: devices may give up on one that takes long."""
    from orbax.checkpoint import multihost  # here, as it adds a second to the start

    name = f"modelpatch {next(_MEETINGS)}"
    multihost.get_barrier_sync_fn()(key=name, timeout_ms=1000 * _MAIN_TAKES)


def _told(text: bytes) -> bytes:
    """The main process's bytes, on all."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    length = int(broadcast_one_to_all(np.int32(len(text))))
    padded = np.zeros(-(-length // _AT_ONCE) * _AT_ONCE, np.uint8)
    if jax.process_index() == 0:
        padded[:length] = np.frombuffer(text, np.uint8)
    return broadcast_one_to_all(padded)[:length].tobytes()
