"""Answers for image files as a device does: an exported backbone, and what a store holds for it.

    launch/answer digits three.png --graph=device/backbone.tflite --store=store \\
      --trusted=keys/maker.pub

With --trusted, only a patch that is signed with one of those keys answers, on a graph whose folder
one of them signed (launch/sign FOLDER); if the current patch is damaged, the one before it does. It
needs LiteRT and no JAX: after `pip install '.[device]'`, call `python -m launch.answer`.
docs/device.md says more.
"""

import json
from collections.abc import Iterator, Sequence

from absl import app, flags, logging

from adapters import files
from adapters.errors import ModelPatchError
from adapters.preprocessing import UnreadableImageError
from adapters.runtime.stored import StoredDevice
from adapters.store.keys import read_trusted_keys
from launch import command, shared_flags

_GRAPH = shared_flags.graph()
_STORE = shared_flags.store()
_TRUSTED = shared_flags.trusted()
_ACCEPT_UNSIGNED = shared_flags.accept_unsigned()
_UNSIGNED_GRAPH = shared_flags.unsigned_graph()


_JSON = flags.DEFINE_bool(
    "json", False, "Print a line of JSON an image: boxes, say, in its pixels."
)


class NothingAnswersError(ModelPatchError):
    """No installed patch of the task passes every check."""


def main(arguments: Sequence[str]) -> None:
    """Prints one line for each image; the first that is none ends it."""
    named = arguments[1:]
    if len(named) < 2 or _STORE.value is None or _GRAPH.value is None:
        raise app.UsageError("give a task and image files, --graph and --store: digits three.png")
    trusted = None if _TRUSTED.value is None else read_trusted_keys(_TRUSTED.value)
    device = StoredDevice(
        _GRAPH.value,
        _STORE.value,
        trusted=trusted,
        accept_unsigned=_ACCEPT_UNSIGNED.value,
        unsigned_graph=_UNSIGNED_GRAPH.value,
    )
    for line in answers(device, named[0], named[1:], _JSON.value):
        print(line)


def answers(
    device: StoredDevice, task: str, paths: Sequence[str], as_json: bool = False
) -> Iterator[str]:
    """A line for each image file: what the task says of it, and how surely; in words or as JSON.

    Raises NothingAnswersError, UnreadableImageError naming the file, and what `Device.run` raises.
    """
    refused = device.refused.get(task, ())
    if refused and task not in device.tasks():
        raise NothingAnswersError(f"no patch of {task} may answer. {refused[0]}")
    for refusal in refused:
        logging.warning("the patch before it answers, since %s", refusal)
    if task in device.expired:
        logging.warning("the patch of %s answers still, though %s", task, device.expired[task])
    for path in paths:
        try:
            data = files.read_regular(path)
            if as_json:
                yield json.dumps({"image": path, "answers": device.listed(task, data)})
                continue
            answer = device.run(task, data)
        except UnreadableImageError as error:
            raise UnreadableImageError(f"{path}: {error}") from error
        yield f"{path}: {answer}"


if __name__ == "__main__":
    command.run(main, compiles=False)
