"""Shows what a patch file, a backbone or a task is, without running it.

launch/inspect out/digits.patch
launch/inspect --backbone=mobilenet_v2
launch/inspect --task=digits
"""

from collections.abc import Sequence

from absl import app, flags

from adapters.store.read import read_patch
from launch import command
from launch.descriptions import describe_backbone, describe_patch, describe_task

_BACKBONE = flags.DEFINE_string("backbone", None, "Pretrained backbone or layer table to show.")
_TASK = flags.DEFINE_string("task", None, "Task to show.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder with prepared TFDS data sets.")


def main(arguments: Sequence[str]) -> None:
    """Prints a description of everything named."""
    parts = [describe_patch(read_patch(path)) for path in arguments[1:]]
    if _BACKBONE.value:
        parts.append(describe_backbone(_BACKBONE.value))
    if _TASK.value:
        parts.append(describe_task(_TASK.value, _DATA_DIR.value))
    if not parts:
        raise app.UsageError("name a patch file, or give --backbone or --task.")
    print("\n\n".join(parts))


if __name__ == "__main__":
    command.run(main)
