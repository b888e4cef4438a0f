"""Shows what a patch file, a backbone or a task is, without running it.

launch/inspect out/digits.patch
launch/inspect --backbone=mobilenet_v2
launch/inspect --task=digits

A task's training images are shown in a picture: digits.png, or --out=FILE.png.
"""

from collections.abc import Sequence

from absl import app, flags

from adapters.store.read import read_patch
from launch import command
from launch.contact_sheet import write_contact_sheet
from launch.descriptions import describe_backbone, describe_patch, describe_task
from tasks import registry

_BACKBONE = flags.DEFINE_string("backbone", None, "Pretrained backbone or layer table to show.")
_TASK = flags.DEFINE_string("task", None, "Task to show.")
_OUT = flags.DEFINE_string("out", None, "Picture of the task's images (default: TASK.png, here).")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder with prepared TFDS data sets.")


def main(arguments: Sequence[str]) -> None:
    """Prints a description of everything named."""
    if not (arguments[1:] or _BACKBONE.value or _TASK.value):
        raise app.UsageError("name a patch file, or give --backbone or --task.")
    for path in arguments[1:]:
        print(describe_patch(read_patch(path)), end="\n\n")
    if _BACKBONE.value:
        print(describe_backbone(_BACKBONE.value), end="\n\n")
    if _TASK.value:
        show_task(_TASK.value, _OUT.value, _DATA_DIR.value)


def show_task(name: str, out: str | None, data_dir: str | None) -> None:
    """Prints what the task `name` is, and writes the picture of its images."""
    task = registry.resolve_one(name)
    print(describe_task(task, data_dir), end="\n\n")
    path = out or f"{task.name}.png"
    write_contact_sheet(path, task, data_dir)
    print(f"{path} shows some of its training images.")


if __name__ == "__main__":
    command.run(main)
