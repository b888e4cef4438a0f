"""Evaluates patch files: the accuracy of each on its task, beside the one it was saved with.

    launch/evaluate out/digits.patch

Each file is read through every check: its digest, the backbone's fingerprint, and parity of logits.
"""

from collections.abc import Sequence

from absl import app, flags

from launch import command
from launch.evaluation import evaluate

_SPLIT = flags.DEFINE_enum("split", "test", ("train", "validation", "test"), "What to evaluate on.")
_TASK = flags.DEFINE_string(
    "task", None, "Task to evaluate on, if the patch's own name does not find it: folder:PATH, say."
)
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "The backbone's local checkpoint, if the patch's backbone brings none."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder with prepared TFDS data sets.")


def main(arguments: Sequence[str]) -> None:
    """Prints one line per patch file."""
    if len(arguments) < 2:
        raise app.UsageError("give one or more patch files: launch/evaluate out/digits.patch")
    for path in arguments[1:]:
        print(evaluate(path, _SPLIT.value, _TASK.value, _WEIGHTS.value, _DATA_DIR.value))


if __name__ == "__main__":
    command.run(main)
