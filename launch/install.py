"""Installs patch files for use: each is active once it has passed every check, and not before.

    launch/install out/digits.patch --store=device --trusted=keys/maker.pub
    launch/install out/digits.patch --store=device --weights=mobilenet_v2_1.4.h5
    launch/install --store=device --roll_back=digits
    launch/install --store=device --remove=digits
    launch/install digits.patch --store=device --graph=backbone.tflite --trusted=maker.pub

The first installation decides which backbone the store is for: --backbone, or the one that the
patch names; patches for any other are refused from then on. With --trusted, a patch needs a
signature by one of those keys beside it, FILE.sig; without it, unsigned patches are installed too.
The patch that was active is kept, and answers again if the new one is found damaged; --roll_back
goes back to it, and --remove takes both away. What is older than a patch that was installed is
refused: by the release that its signature states, or else by its version.

With --graph a patch is tried on an exported backbone, as devices run it; with --trusted, one of the
keys must have signed its folder (launch/sign FOLDER). That needs LiteRT and no JAX: after
`pip install '.[device]'`, call `python -m launch.install`.
"""

from collections.abc import Sequence

from absl import app, flags

from adapters.compiled_programs import keep_compiled_programs
from adapters.runtime import stored
from adapters.runtime.device import Device
from adapters.store.installed import NotInstalledError, Store
from adapters.store.keys import read_trusted_keys
from adapters.store.trust import Trusted
from launch import command, shared_flags

_BACKBONE = flags.DEFINE_string(
    "backbone", None, "The backbone here (default: the store's, or the first patch's)."
)
_WEIGHTS = shared_flags.weights()
_ROLL_BACK = flags.DEFINE_string("roll_back", None, "Task whose previous patch is to answer again.")
_REMOVE = flags.DEFINE_string("remove", None, "Task whose patches are to be removed.")
_GRAPH = shared_flags.graph()
_STORE = shared_flags.store()
_TRUSTED = shared_flags.trusted()
_ACCEPT_UNSIGNED = shared_flags.accept_unsigned()
_UNSIGNED_GRAPH = shared_flags.unsigned_graph()


def main(arguments: Sequence[str]) -> None:
    """Prints one line for each file; the first that is refused ends it."""
    paths, folder, task, removed = arguments[1:], _STORE.value, _ROLL_BACK.value, _REMOVE.value
    if folder is None or sum(map(bool, (paths, task, removed))) != 1:
        raise app.UsageError(
            "give patch files, --roll_back or --remove, and --store: FILE --store=device"
        )
    if _GRAPH.value is not None and (_BACKBONE.value or _WEIGHTS.value):
        raise app.UsageError("--graph is the backbone: leave out --backbone and --weights.")
    trusted = None if _TRUSTED.value is None else read_trusted_keys(_TRUSTED.value)
    if _GRAPH.value is not None:
        device = Device(_GRAPH.value, signed_by=None if _UNSIGNED_GRAPH.value else trusted)
        unsigned = _ACCEPT_UNSIGNED.value
        store = stored.open_store(device, folder, trusted, accept_unsigned=unsigned)
    else:
        store = _compiled_store(folder, paths, trusted)
    if task:
        print(f"{task} {store.roll_back(task).task_version} is active in {folder} again.")
    if removed:
        store.remove(removed)
        print(f"{removed} is removed from {folder}.")
    for path in paths:
        card = store.install(path)
        vouched = "signatures are not checked" if trusted is None else "its signature is trusted"
        print(f"{path}: {card.task} {card.task_version} is active in {folder}; {vouched}.")


def _compiled_store(folder: str, paths: Sequence[str], trusted: Trusted | None) -> Store:
    """The store, of which a patch is tried on its backbone's own weights."""
    try:
        from adapters.experiment import installation  # needs JAX, which a device has not
    except ImportError as error:
        raise app.UsageError(
            f"{error}. Give the exported backbone, --graph=backbone.tflite, or install '.[train]'."
        ) from error
    keep_compiled_programs()
    backbone = _BACKBONE.value or installation.backbone_of(folder)
    if backbone is None:
        if not paths:
            raise NotInstalledError(
                f"{folder} does not say which backbone its patches are for: check --store, or give "
                "--backbone."
            )
        backbone = installation.named_backbone(paths[0], trusted)
    return installation.open_store(
        folder, backbone, _WEIGHTS.value, trusted, _ACCEPT_UNSIGNED.value
    )


if __name__ == "__main__":
    command.run(main, compiles=False)
