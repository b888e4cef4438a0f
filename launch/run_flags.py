"""The flags that say what a run trains on and how, for every command that starts runs.

Their defaults are those of the settings that they set.
"""

from typing import Any

from absl import flags

from adapters.experiment.settings import (
    BALANCES,
    CHECKPOINTS,
    DEFAULTS,
    DISTILLATION,
    SHARED_RATE,
    SettingError,
)
from adapters.patches.registry import PATCHES
from adapters.scheduling.registry import COMBINES, PRIORITIES, SAMPLINGS, WEIGHTINGS
from adapters.store.encoding import ENCODINGS
from adapters.vocabulary import NORM_MODES, PRECISIONS
from launch import task_flags
from launch.flag_names import FLAGS, flag_of
from tasks.augmentation import POLICIES

TASKS = task_flags.define(
    "Tasks and suites to train: names, folder:PATH, csv:FILE, coco:IMAGES,ANNOTATIONS, "
    "masks:IMAGES,MASKS, panoptic:IMAGES,ANNOTATIONS, tfds:NAME, hf:NAME, or a task's Python file; "
    "NAME=folder:PATH(fit=pad, seed=1) gives names and settings, and NAME@96 is a task for images "
    "of 96 pixels, whatever the others have."
)
OUT = flags.DEFINE_string(
    flag_of("directory"), "out", "Folder for patches, checkpoints, metrics and plots."
)
_SETTINGS: list[flags.FlagHolder[Any]] = [
    flags.DEFINE_string(
        "data_dir",
        DEFAULTS["data_dir"],
        "Folder with prepared TFDS data sets (the decathlon suite).",
    ),
    flags.DEFINE_string(
        "backbone",
        DEFAULTS["backbone"],
        "Pretrained backbone, or a layer table with --weights.",
    ),
    flags.DEFINE_string(
        "weights",
        DEFAULTS["weights"],
        "Local checkpoint: Keras .h5 or .keras, PyTorch .pth, TensorFlow .index or .pb, "
        "safetensors; or weights by name, hf:timm/mobilenetv3_large_100.ra_in1k, say, or "
        "torchvision:MobileNet_V3_Large_Weights.IMAGENET1K_V2.",
    ),
    flags.DEFINE_string(
        "head",
        DEFAULTS["head"],
        "Of tasks with a head of the same kind, this one instead: segmentation(high=neck_01) reads "
        "a neck of the backbone.",
    ),
    flags.DEFINE_enum(
        "norm",
        DEFAULTS["norm"],
        NORM_MODES,
        "Norm statistics in training: the backbone's (frozen), each task's own, measured before "
        "the first step (calibrated), its batch moments (batch), or its running average (ema). "
        "Other than frozen, they ship with the patch.",
    ),
    flags.DEFINE_integer("size", DEFAULTS["size"], "Side of the input images, in pixels."),
    flags.DEFINE_enum(
        "augmentation",
        DEFAULTS["augmentation"],
        list(POLICIES),
        "none; each task's own; that with wide crops, down to 35 % of the area, with changes of "
        "colour, or with one operation of TrivialAugment.",
    ),
    flags.DEFINE_enum(
        "balance",
        DEFAULTS["balance"],
        BALANCES,
        "With classes, each class is learned as if it had as many images as every other.",
    ),
    flags.DEFINE_integer(
        "steps",
        DEFAULTS["steps"],
        "Training steps. With --resume, more than the run was begun with extend it: learning rates "
        "take from there on the course of the longer run, without a warm-up.",
    ),
    flags.DEFINE_enum(
        "checkpoint",
        DEFAULTS["checkpoint"],
        CHECKPOINTS,
        "What ships: each task's best step by its score on validation (with --train_shared one for "
        "all, by the mean score), or the last. By default best, but last for spotpatch, which is "
        "best before its size counts.",
    ),
    flags.DEFINE_integer(
        "validations",
        DEFAULTS["validations"],
        "How often validation is scored while training, evenly; 0: never, and the last step ships.",
    ),
    flags.DEFINE_integer(
        "patience",
        DEFAULTS["patience"],
        "End the run after so many validations in a row that give no task a higher score (with "
        "--train_shared, no higher mean); 0: never.",
    ),
    flags.DEFINE_float(
        "minutes",
        DEFAULTS["minutes"],
        "End the run with the step that it is at after so many minutes of training, those before a "
        "resume included; 0: never. Learning rates follow --steps, so give as many as fit.",
    ),
    flags.DEFINE_integer(
        "groups",
        DEFAULTS["groups"],
        "Groups in a step, each of one task; shared out over devices.",
    ),
    flags.DEFINE_integer("examples", DEFAULTS["examples"], "Images in a group."),
    flags.DEFINE_float(
        "share",
        DEFAULTS["share"],
        "Share of each task's training images that is used; --seed chooses which.",
    ),
    flags.DEFINE_float("warmup", DEFAULTS["warmup"], "Share of the steps over which rates rise."),
    flags.DEFINE_float(
        flag_of("head_decay"), DEFAULTS["head_decay"], "Decoupled weight decay of the heads."
    ),
    flags.DEFINE_float(flag_of("smoothing"), DEFAULTS["smoothing"], "Label smoothing."),
    flags.DEFINE_string(
        "sampling",
        DEFAULTS["sampling"],
        f"How often tasks are drawn: {', '.join(SAMPLINGS)}, or by priorities that adapt: "
        f"{', '.join(PRIORITIES)}; with settings in brackets: unimax(repeats=50).",
    ),
    flags.DEFINE_string(
        "scheduler",
        DEFAULTS["scheduler"],
        f"With --train_shared, how much each task counts there: {', '.join(WEIGHTINGS)}; with "
        "settings in brackets: balanced(gamma=1, floor=0.3).",
    ),
    flags.DEFINE_string(
        "gradients",
        DEFAULTS["gradients"],
        "With --train_shared, how the tasks' gradients become one: " + ", ".join(COMBINES) + ".",
    ),
    flags.DEFINE_string(
        "references",
        DEFAULTS["references"],
        "For achievement and balanced: results.csv of runs of single tasks, whose validation "
        "accuracies say what each task reaches alone.",
    ),
    flags.DEFINE_bool(
        "rematerialise",
        DEFAULTS["rematerialise"],
        "Compute each block again in the backward pass instead of keeping what is inside: less "
        "memory, more time.",
    ),
    flags.DEFINE_bool(
        "native_gradients",
        DEFAULTS["native_gradients"],
        "Compute gradients of norms and depthwise layers by C++ code, on one CPU device: 6 to 27 % "
        "less time a step. It is compiled once, which needs a C++ compiler.",
    ),
    flags.DEFINE_enum(
        "precision",
        DEFAULTS["precision"],
        PRECISIONS,
        "Of the frozen network in a training step; bfloat16 is for GPUs and TPUs. What is trained, "
        "and every score, stays float32.",
    ),
    flags.DEFINE_enum(
        "encoding",
        DEFAULTS["encoding"],
        ENCODINGS,
        "How patch files store numbers. Scores are of the numbers as stored; other than with "
        "float32, the accuracy that this costs on validation is reported too.",
    ),
    flags.DEFINE_bool(
        "temperature_scaling",
        DEFAULTS["temperature_scaling"],
        "Divide each head's weights by a temperature chosen on validation: the same answers, as "
        "sure as they are right.",
    ),
    flags.DEFINE_string(
        "patch_version",
        DEFAULTS["patch_version"],
        "Version of the patch files, 1.0.1 say, by default their tasks': devices that hold one "
        "refuse any that is lower.",
    ),
    flags.DEFINE_string(
        "teacher",
        DEFAULTS["teacher"],
        "Folder of a finished run of the same tasks, whose probabilities are learned; or of one "
        "folder TASK a task, each with a run of its own.",
    ),
    flags.DEFINE_float(
        "feature_matching",
        DEFAULTS["feature_matching"],
        "With --teacher: how much the distance to its features counts, beside the rest of the "
        "loss; 1, say.",
    ),
    flags.DEFINE_string(
        "matched_map",
        DEFAULTS["matched_map"],
        "With --feature_matching: which map, features (the pooled ones), stride_16 or block_13, "
        "say.",
    ),
    flags.DEFINE_bool(
        "anneal_distillation",
        DEFAULTS["anneal_distillation"],
        "With --teacher: its shares of the loss fall to nothing at the end of the run.",
    ),
    flags.DEFINE_string(
        "from_patch",
        DEFAULTS["from_patch"],
        "Patch file that every task begins with, of the same kind of patch; a class that it has "
        "already keeps its part of the classifier, or of a detector.",
    ),
    flags.DEFINE_string(
        "phrases",
        DEFAULTS["phrases"],
        "Texts, with commas between, that tasks with queries can be asked for beside their labels, "
        "with --patch='query_modulation(embeddings=text)': 'vehicle, lorry'.",
    ),
    flags.DEFINE_bool(
        "train_shared",
        DEFAULTS["train_shared"],
        "Train the shared weights too; they go to backbone.safetensors.",
    ),
    flags.DEFINE_integer(
        "workers",
        DEFAULTS["workers"],
        "Processes that decode images; 0: threads. Of several processes, each has its own.",
    ),
    flags.DEFINE_bool(
        "cache",
        DEFAULTS["cache"],
        "Decode an image once where nothing augments it, and compute once what no patch of the run "
        "changes: its first blocks.",
    ),
]
_DISTILLATION = flags.DEFINE_float(
    "distillation", DISTILLATION, "With --teacher: its share of the loss; the labels have the rest."
)
_SHARED_RATE = flags.DEFINE_float(
    flag_of("shared_rate"), SHARED_RATE, "Peak rate of the shared weights, with --train_shared."
)


def patch_flag() -> flags.FlagHolder[str]:
    """Defines `--patch`, for a command that trains one."""
    return flags.DEFINE_string(
        "patch",
        DEFAULTS["patch"],
        f"What each task trains: {', '.join(sorted(PATCHES))}; join with '+'.",
    )


def rate_flags() -> tuple[flags.FlagHolder[float | None], flags.FlagHolder[float]]:
    """Defines the flags of both learning rates, for a command that does not try them out."""
    return (
        flags.DEFINE_float(
            flag_of("patch_rate"),
            None,
            f"Peak rate of the patches; by default {DEFAULTS['patch_rate']:g}, for `full` 1e-3.",
        ),
        flags.DEFINE_float(flag_of("head_rate"), DEFAULTS["head_rate"], "Peak rate of the heads."),
    )


def values() -> dict[str, Any]:
    """What the flags above say, as settings by name: `settings.settings_of` takes them.

    Raises SettingError for a flag that nothing would use.
    """
    names = {flag: setting for setting, flag in FLAGS.items()}
    said = {names.get(flag.name, flag.name): flag.value for flag in _SETTINGS}
    if _DISTILLATION.present and not said["teacher"]:
        raise SettingError("distillation", "is a teacher's share of the loss: give a teacher too.")
    said["distillation"] = _DISTILLATION.value if _DISTILLATION.present else None
    # That alone is no reason to refuse: scripts give it to runs of both kinds.
    said["shared_rate"] = _SHARED_RATE.value if said["train_shared"] else None
    return said
