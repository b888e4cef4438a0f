"""Serves patch files over HTTP: requests of all tasks share the passes of one backbone.

    launch/serve out/*.patch --port=8080
    curl --data-binary @photograph.jpg localhost:8080/tasks/digits

All patches belong to one backbone and one image size. Tasks come and go while it runs (`PUT` and
`DELETE /tasks/NAME`), up to --capacity; `GET /tasks` lists them, /health and /metrics tell how it
is. SIGTERM ends it once those who wait are answered. It has no encryption and asks nobody who they
are: put a proxy before it, or leave it on this machine, as it is by default.
"""

import functools
from collections.abc import Sequence

import uvicorn
from absl import app, flags, logging

from adapters.preprocessing import Preprocessing
from adapters.serving.app import Limits, application
from adapters.serving.network import TABLED, MixedNetwork
from adapters.store.errors import naming
from adapters.store.read import decode_patch, read_bytes, read_patch
from launch import backbones, command

_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen at.")
_PORT = flags.DEFINE_integer("port", 8080, "Port to listen at.", lower_bound=0, upper_bound=65535)
_BACKBONE = flags.DEFINE_string("backbone", None, "Backbone; by default that of the first patch.")
_WEIGHTS = flags.DEFINE_string("weights", None, "The backbone's local checkpoint, if it needs one.")
_SIZE = flags.DEFINE_integer(
    "size", None, "Image size; by default that of the first patch.", lower_bound=1
)
_CAPACITY = flags.DEFINE_integer("capacity", 16, "Tasks that fit.", lower_bound=1)
_TABLED = flags.DEFINE_enum(
    "tabled",
    "norms",
    TABLED,
    "What tasks may own: norms' leaves, depthwise kernels too, or everything (a whole network's "
    "memory a task).",
)
_BATCHES = flags.DEFINE_list("batches", ["1", "4", "16"], "Images in a pass; others are filled up.")
_QUEUE = flags.DEFINE_integer("queue", 256, "Requests that may wait.", lower_bound=1)
_IMAGE_BYTES = flags.DEFINE_integer("image_bytes", 10_000_000, "Largest image file.", lower_bound=1)
_PATCH_BYTES = flags.DEFINE_integer("patch_bytes", 20_000_000, "Largest patch file.", lower_bound=1)
_DRAIN = flags.DEFINE_integer(
    "drain_seconds", 30, "Longest wait for requests at the end.", lower_bound=0
)


def main(arguments: Sequence[str]) -> None:
    """Loads, compiles, and serves until a signal comes."""
    paths = arguments[1:]
    if not paths and not (_BACKBONE.value and _SIZE.value):
        raise app.UsageError("give patch files, or --backbone and --size to begin with no task.")
    if not _BATCHES.value or not all(text.isdecimal() and int(text) for text in _BATCHES.value):
        raise app.UsageError(f"--batches={','.join(_BATCHES.value)} must be numbers such as 1,8.")
    cards = [read_patch(path) for path in paths]
    names = [card.task for card in cards]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise app.UsageError(f"several of the files are for the task {twice[0]}: give one.")
    backbone = backbones.load(_BACKBONE.value or cards[0].backbone, _WEIGHTS.value)
    network = MixedNetwork(
        backbone.network,
        backbone.weights,
        _SIZE.value or Preprocessing.from_json(cards[0].preprocessing).size,
        _CAPACITY.value,
        [int(text) for text in _BATCHES.value],
        _TABLED.value,  # type: ignore[arg-type]
    )
    read = functools.partial(
        decode_patch,
        shapes=backbone.shapes,
        features=backbone.network.table.features,
        fingerprint=backbone.fingerprint,
    )
    for path in paths:
        with naming(path):
            network.add(read(read_bytes(path)))
    network.compile()
    logging.info("%d of %d tasks are installed", len(network.tasks), network.capacity)
    limits = Limits(
        image_bytes=_IMAGE_BYTES.value, patch_bytes=_PATCH_BYTES.value, queue=_QUEUE.value
    )
    uvicorn.run(
        application(network, read, limits),
        host=_HOST.value,
        port=_PORT.value,
        log_level="info",
        access_log=False,
        timeout_graceful_shutdown=_DRAIN.value,
    )


if __name__ == "__main__":
    command.run(main)
