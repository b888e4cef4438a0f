"""`launch/serve` with batches of one task, or with a whole network for each task.

    python -m adapters.benchmarking.serving.other_server one_task WEIGHTS out/*.patch
    python -m adapters.benchmarking.serving.other_server networks WEIGHTS out/*.patch

WEIGHTS is the backbone's local checkpoint, or empty for one that brings its own. `one_task` holds
one backbone and answers one task's batch after another's. `networks` holds a network for each task,
each with a batcher and a thread of its own, in one process: in a process each, Python, JAX and the
compiled programs would be there as often.
"""

from collections.abc import Sequence

from absl import app

from adapters.benchmarking.serving import patches
from adapters.benchmarking.serving.single import BATCHES, QUEUES, SingleTaskNetworks
from adapters.compiled_programs import keep_compiled_programs
from adapters.errors import ModelPatchError
from adapters.serving.app import application
from adapters.serving.limits import Limits
from adapters.serving.listening import Server
from adapters.store.contents import PatchContents


class FixedTasksError(ModelPatchError):
    """This server's tasks do not change."""


class _Fixed:
    def install(self, name: str, data: bytes, signature: bytes | None) -> PatchContents:
        raise FixedTasksError(f"{name} cannot be installed: this server's tasks do not change.")

    def remove(self, name: str) -> None:
        raise FixedTasksError(f"{name} cannot be removed: this server's tasks do not change.")


def main(arguments: Sequence[str]) -> None:
    """Loads, compiles, and serves until a signal comes."""
    keep_compiled_programs()
    _, how, weights, *paths = arguments
    backbone, contents = patches.read(paths, weights or None)
    network = SingleTaskNetworks(
        backbone.network, backbone.weights, contents, BATCHES, copied=how == "networks"
    )
    network.compile()
    Server(application(network, _Fixed(), Limits(), queue=QUEUES[how]), Limits()).run()


if __name__ == "__main__":
    app.run(main)
