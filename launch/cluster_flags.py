"""The flags of a process that trains together with others, on this host or on many."""

import contextlib

from absl import flags

from adapters.errors import ModelPatchError
from adapters.training.cluster import AUTO, HEARTBEAT_TIMEOUT, Cluster, cluster, current

_COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "To train with several processes, each started with the same flags: HOST:PORT of process 0, or "
    f"'{AUTO}', where SLURM, Open MPI, Kubernetes or a TPU's environment says it.",
)
_PROCESSES = flags.DEFINE_integer("processes", None, "With --coordinator=HOST:PORT: how many.")
_PROCESS = flags.DEFINE_integer(
    "process", None, "With --coordinator=HOST:PORT: which one this is, from 0."
)
_HEARTBEAT_TIMEOUT = flags.DEFINE_integer(
    "heartbeat_timeout",
    HEARTBEAT_TIMEOUT,
    "With --coordinator: seconds without a sign of life after which a process counts as lost and "
    "the others end.",
)


class CoordinatorMissingError(ModelPatchError):
    """Flags of a process without the one that joins it to others."""


def joined() -> contextlib.AbstractContextManager[Cluster]:
    """Joins the processes that the flags name; without them, this one is alone.

    Raises ClusterError, CoordinatorMissingError.
    """
    if _COORDINATOR.value is not None:
        return cluster(
            *(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value), _HEARTBEAT_TIMEOUT.value
        )
    if any(flag.present for flag in (_PROCESSES, _PROCESS, _HEARTBEAT_TIMEOUT)):
        raise CoordinatorMissingError(
            "processes find each other at a coordinator: give its address too.",
            settings=["coordinator"],
        )
    return contextlib.nullcontext(current())
