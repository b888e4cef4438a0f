"""Trains patches jointly and writes one patch file per task.

    launch/train --tasks=pocket

trains scale/bias patches of a pretrained MobileNetV2 on five small data sets, and ends with a table
of accuracies and bytes, plots, and `out/TASK.patch` for each task.
"""

import pathlib
import shlex
import sys
from collections.abc import Sequence

from absl import app, flags

from adapters.layers.norm import MODES
from adapters.patches.registry import PATCHES
from adapters.training.step import Recipe
from launch import command, experiment, results
from launch.settings import SAMPLING, Settings
from tasks import registry

_TASKS = flags.DEFINE_list(
    "tasks", [], "Tasks and suites to train: names, folder:PATH, or a task's Python file."
)
_OUT = flags.DEFINE_string("out", "out", "Folder for patches, checkpoints, metrics and plots.")
_RESUME = flags.DEFINE_bool("resume", False, "Go on with the run in --out.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Delete the run in --out and start anew.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder with prepared TFDS data sets (the decathlon suite)."
)
_BACKBONE = flags.DEFINE_string(
    "backbone", "mobilenet_v2", "Pretrained backbone, or a layer table with --weights."
)
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Local checkpoint: Keras .h5 or .keras, PyTorch .pth, or safetensors."
)
_PATCH = flags.DEFINE_string(
    "patch", "scale_bias", f"What each task trains: {', '.join(sorted(PATCHES))}; join with '+'."
)
_NORM = flags.DEFINE_enum(
    "norm",
    "frozen",
    MODES,
    "Norm statistics in training: the backbone's (frozen), each task's batch moments (batch), or "
    "each task's running average (ema). Other than frozen, they ship with the patch.",
)
_SIZE = flags.DEFINE_integer("size", 64, "Side of the input images, in pixels.")
_STEPS = flags.DEFINE_integer("steps", 1500, "Training steps.")
_GROUPS = flags.DEFINE_integer(
    "groups", 4, "Groups in a step, each of one task; shared out over devices."
)
_EXAMPLES = flags.DEFINE_integer("examples", 16, "Images in a group.")
_PATCH_RATE = flags.DEFINE_float("patch_learning_rate", 3e-3, "Peak rate of the patches.")
_HEAD_RATE = flags.DEFINE_float("head_learning_rate", 3e-3, "Peak rate of the heads.")
_SHARED_RATE = flags.DEFINE_float(
    "shared_learning_rate", 1e-4, "Peak rate of the shared weights, with --train_shared."
)
_WARMUP = flags.DEFINE_float("warmup", 0.05, "Share of the steps over which rates rise.")
_DECAY = flags.DEFINE_float("weight_decay", 1e-4, "Decoupled weight decay of the heads.")
_SMOOTHING = flags.DEFINE_float("label_smoothing", 0.1, "Label smoothing.")
_SAMPLING = flags.DEFINE_enum("sampling", "uniform", SAMPLING, "How tasks are drawn.")
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 3.0, "With --sampling=temperature: 1 is proportional, large is uniform."
)
_TRAIN_SHARED = flags.DEFINE_bool(
    "train_shared", False, "Train the shared weights too; they go to backbone.safetensors."
)
_SEED = flags.DEFINE_integer("seed", 0, "The same seed gives the same bytes.")
_WORKERS = flags.DEFINE_integer("workers", 0, "Processes that decode images; 0: threads.")


def main(arguments: Sequence[str]) -> None:
    """Parses flags, runs, prints the table."""
    if len(arguments) > 1:
        raise app.UsageError(f"arguments without a flag: {' '.join(arguments[1:])}")
    if not _TASKS.value:
        raise app.UsageError("name what to train: --tasks=pocket, say.")
    settings = Settings(
        backbone=_BACKBONE.value,
        weights=_WEIGHTS.value,
        patch=_PATCH.value,
        size=_SIZE.value,
        groups=_GROUPS.value,
        examples=_EXAMPLES.value,
        sampling=_SAMPLING.value,
        temperature=_TEMPERATURE.value,
        seed=_SEED.value,
        data_dir=_DATA_DIR.value,
        workers=_WORKERS.value,
        train_shared=_TRAIN_SHARED.value,
        recipe=Recipe(
            steps=_STEPS.value,
            patch_rate=_PATCH_RATE.value,
            head_rate=_HEAD_RATE.value,
            shared_rate=_SHARED_RATE.value,
            warmup=_WARMUP.value,
            head_decay=_DECAY.value,
            smoothing=_SMOOTHING.value,
            norm=_NORM.value,  # type: ignore[arg-type]
        ),
    )
    directory = pathlib.Path(_OUT.value)
    rows = experiment.run(
        registry.resolve(_TASKS.value),
        settings,
        directory,
        shlex.join(["launch/train", *sys.argv[1:]]),
        resume=_RESUME.value,
        overwrite=_OVERWRITE.value,
    )
    print(results.summary(rows))
    print(f"\nPatch files, plots and results.csv are in {directory}/.")


if __name__ == "__main__":
    command.run(main)
