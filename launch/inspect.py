"""Shows what a patch file, a backbone or a task is, without running it.

launch/inspect out/digits.patch
launch/inspect out/*.patch --plot
launch/inspect --backbone=mobilenet_v2 --size=128 --plot
launch/inspect routes/routes.json --plot
launch/inspect --task=digits

Of a backbone it tells parameters, multiply-adds, bytes, peak memory and the latency that a roofline
predicts, by row of its table (--layers: by layer), for one image. --plot draws them; of patch files
it draws which layers they change, and by how many bytes; of the routes that launch/search found,
how they share the blocks of their network, which `--weights=routes/backbone.safetensors` makes
known to patches and --backbone. A task's training images are shown in a picture. Pictures are
NAME.png, or --out=FILE.png.
"""

import pathlib
from collections.abc import Sequence

from absl import app, flags

from adapters.analysis import plot, roofline
from adapters.analysis.cost import BYTES_PER_VALUE
from adapters.experiment import opened_layers, output, route_map, route_record
from adapters.experiment.contact_sheet import write_contact_sheet
from adapters.experiment.descriptions import (
    cost_of_backbone,
    describe_backbone,
    describe_patch,
    describe_task,
)
from adapters.store.read import read_patch
from launch import command, shared_flags
from tasks import registry

_BACKBONE = flags.DEFINE_string("backbone", None, "Pretrained backbone or layer table to show.")
_WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    "Weights of the patches' backbone or of --backbone, of a network out of a search.",
)
_TASK = flags.DEFINE_string("task", None, "Task to show.")
_OUT = flags.DEFINE_string("out", None, "The picture's file (default: NAME.png, here).")
_DATA_DIR = shared_flags.data_dir()
_SIZE = flags.DEFINE_integer("size", 224, "Side of the backbone's image in pixels.")
_BYTES_PER_VALUE = flags.DEFINE_enum(
    "bytes_per_value",
    "4",
    [str(count) for count in BYTES_PER_VALUE],
    "Bytes of a weight and of an activation of the backbone: 1 for an 8-bit network.",
)
_MACHINE = flags.DEFINE_string(
    "machine",
    "cpu",
    f"Machine whose roofline the backbone meets: {', '.join(roofline.MACHINES)}, or two speeds, "
    "multiply-adds and bytes a second (310e9,10e9).",
)
_LAYERS = flags.DEFINE_bool("layers", False, "Show the backbone's costs layer by layer too.")
_PLOT = flags.DEFINE_bool(
    "plot", False, "Draw the backbone's costs, which layers patches change, or who shares blocks."
)


def main(arguments: Sequence[str]) -> None:
    """Prints a description of everything named."""
    routes = [path for path in arguments[1:] if path.endswith(".json")]
    patches = [path for path in arguments[1:] if path not in routes]
    if not (arguments[1:] or _BACKBONE.value or _TASK.value):
        raise app.UsageError("name a patch file, or give --backbone or --task.")
    if _PLOT.value and not (_BACKBONE.value or arguments[1:]):
        raise app.UsageError("--plot draws patch files or a backbone: give --backbone too.")
    drawn = bool(_BACKBONE.value) + bool(patches) + len(routes)
    drawn = bool(_TASK.value) + _PLOT.value * drawn
    if _OUT.value and drawn > 1:
        raise app.UsageError(f"--out names one picture, but {drawn} are asked for.")
    for path in routes:
        show_routes(path)
    if patches:
        show_patches(patches)
    if _BACKBONE.value:
        show_backbone(_BACKBONE.value)
    if _TASK.value:
        show_task(_TASK.value, _OUT.value, _DATA_DIR.value)


def show_patches(paths: Sequence[str]) -> None:
    """Prints the card of each patch file, and draws which layers they change if asked."""
    patches = []
    for path in paths:
        patches.append(read_patch(path))
        print(describe_patch(patches[-1]), end="\n\n")
    if _PLOT.value:
        path = _OUT.value or "layers.png"
        output.write_picture(path, opened_layers.picture(patches, _WEIGHTS.value))
        print(f"{path} shows which layers they change.")


def show_routes(path: str) -> None:
    """Prints which blocks the routes of a file take and share, and draws that if asked."""
    record = route_record.opened(path)
    print(route_record.in_words(record), end="\n\n")
    if _PLOT.value:
        picture = _OUT.value or f"{pathlib.Path(path).stem}_shared.png"
        output.write_picture(picture, route_map.picture(record))
        print(f"{picture} shows how they share its blocks.")


def show_backbone(name: str) -> None:
    """Prints what the backbone `name` is and costs, and draws that if asked."""
    machine, size = roofline.machine(_MACHINE.value), _SIZE.value
    width = int(_BYTES_PER_VALUE.value)
    weights = _WEIGHTS.value
    print(describe_backbone(name, machine, size, width, _LAYERS.value, weights), end="\n\n")
    if _PLOT.value:
        path = _OUT.value or f"{name}.png"
        unit = "byte" if width == 1 else "bytes"
        title = f"{name}: one image of {size} px, {width} {unit} a value"
        costs = cost_of_backbone(name, size, width, weights)
        output.write_picture(path, plot.picture(title, costs, machine))
        print(f"{path} shows what its layers cost.")


def show_task(name: str, out: str | None, data_dir: str | None) -> None:
    """Prints what the task `name` is, and writes the picture of its images."""
    task = registry.resolve_one(name, data_dir)
    print(describe_task(task, data_dir), end="\n\n")
    path = out or f"{task.name}.png"
    write_contact_sheet(path, task, data_dir)
    print(f"{path} shows some of its training images.")


if __name__ == "__main__":
    command.run(main)
