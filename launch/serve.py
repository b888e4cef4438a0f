"""Serves patch files over HTTP: requests of all tasks share the passes of one backbone.

    launch/serve out/*.patch --port=8080
    launch/serve --store=device --trusted=keys/maker.pub
    curl --data-binary @photograph.jpg localhost:8080/tasks/digits

All patches belong to one backbone and one image size. `GET /tasks` lists them, /health and /metrics
tell how it is. With --store it serves what launch/install made active there. SIGTERM ends it once
those who wait are answered.

Tasks come and go while it runs (`PUT` and `DELETE /tasks/NAME`), up to --capacity, only if asked
for: by clients that bring the token in the file --changes_token, or in the environment's
MODELPATCH_CHANGES_TOKEN, or over --changes_socket, which only this user may open. With --store,
what comes by `PUT` is installed there too: signed, if keys are trusted, and never of an older
version.

It answers to the names of this machine and the address that was asked, and to --hosts; pages of
other sites may not ask, but for --origins. It has no encryption and asks nobody else who they are:
put a proxy before it (docs/serving.md), or leave it on this machine, as it is by default.
"""

from collections.abc import Sequence

from absl import app, flags, logging

from adapters.experiment import serving
from adapters.serving.access import Access
from adapters.serving.app import application
from adapters.serving.installing import Installer
from adapters.serving.limits import Limits
from adapters.serving.listening import Server
from adapters.serving.network import TABLED, MixedNetwork
from adapters.store.keys import read_trusted_keys
from launch import command, shared_flags

_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen at.")
_PORT = flags.DEFINE_integer("port", 8080, "Port to listen at.", lower_bound=0, upper_bound=65535)
_BACKBONE = flags.DEFINE_string(
    "backbone", None, "Backbone; by default that of the first patch, or the store's."
)
_WEIGHTS = shared_flags.weights()
_SIZES = flags.DEFINE_multi_integer(
    "size", [], "Image size; by default those of the patches. May be repeated.", lower_bound=1
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
_CONNECTIONS = flags.DEFINE_integer(
    "connections", 512, "Connections, half of them of one client.", lower_bound=2
)
_IMAGE_BYTES = flags.DEFINE_integer("image_bytes", 10_000_000, "Largest image file.", lower_bound=1)
_PATCH_BYTES = flags.DEFINE_integer("patch_bytes", 20_000_000, "Largest patch file.", lower_bound=1)
_DRAIN = flags.DEFINE_integer(
    "drain_seconds", 30, "Longest wait for requests at the end.", lower_bound=0
)
_CHANGES_TOKEN = flags.DEFINE_string(
    "changes_token", None, "File with the token that lets clients change tasks."
)
_CHANGES_SOCKET = flags.DEFINE_string(
    "changes_socket", None, "Path of a Unix socket, made for this user alone, that tasks change by."
)
_HOSTS = flags.DEFINE_list("hosts", [], "Names of this server that clients ask it by.")
_ORIGINS = flags.DEFINE_list("origins", [], "Sites whose pages may ask: https://shop.example.")
_STORE = shared_flags.store()
_TRUSTED = shared_flags.trusted()
_ACCEPT_UNSIGNED = shared_flags.accept_unsigned()


def main(arguments: Sequence[str]) -> None:
    """Loads, compiles, and serves until a signal comes."""
    paths, folder = arguments[1:], _STORE.value
    if folder is not None and paths:
        raise app.UsageError("give patch files or --store, not both: launch/install fills a store.")
    if folder is None and _TRUSTED.value is not None:
        raise app.UsageError("only a store checks signatures: --trusted needs --store.")
    if folder is None and not paths and not (_BACKBONE.value and _SIZES.value):
        raise app.UsageError("give patch files, or --backbone and --size to begin with no task.")
    if not _BATCHES.value or not all(text.isdecimal() and int(text) for text in _BATCHES.value):
        raise app.UsageError(f"--batches={','.join(_BATCHES.value)} must be numbers such as 1,8.")
    wanted = serving.Wanted(
        _BACKBONE.value,
        _WEIGHTS.value,
        _SIZES.value,
        _CAPACITY.value,
        [int(text) for text in _BATCHES.value],
        _TABLED.value,  # type: ignore[arg-type]
    )
    access = Access(
        serving.changes_token(_CHANGES_TOKEN.value),
        frozenset(_HOSTS.value),
        frozenset(_ORIGINS.value),
    )
    network, installer = _opened(paths, folder, wanted)
    network.compile()
    logging.info("%d of %d tasks are installed", len(network.tasks), network.capacity)
    limits = Limits(
        image_bytes=_IMAGE_BYTES.value,
        patch_bytes=_PATCH_BYTES.value,
        connections=_CONNECTIONS.value,
        queue=_QUEUE.value,
    )
    Server(
        application(network, installer, limits, access),
        limits,
        _HOST.value,
        _PORT.value,
        _CHANGES_SOCKET.value,
        _DRAIN.value,
    ).run()


def _opened(
    paths: Sequence[str], folder: str | None, wanted: serving.Wanted
) -> tuple[MixedNetwork, Installer]:
    if folder is None:
        return serving.from_files(paths, wanted)
    trusted = None if _TRUSTED.value is None else read_trusted_keys(_TRUSTED.value)
    return serving.from_store(folder, trusted, wanted, _ACCEPT_UNSIGNED.value)


if __name__ == "__main__":
    command.run(main)
