"""The flags that say what a run trains on and how, for every command that starts runs."""

from absl import flags

from adapters.experiment.settings import SAMPLING, SettingError, Settings
from adapters.store.encoding import ENCODINGS
from adapters.training.recipe import Recipe
from adapters.vocabulary import NORM_MODES
from tasks.augmentation import POLICIES

TASKS = flags.DEFINE_list(
    "tasks", [], "Tasks and suites to train: names, folder:PATH, or a task's Python file."
)
OUT = flags.DEFINE_string("out", "out", "Folder for patches, checkpoints, metrics and plots.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder with prepared TFDS data sets (the decathlon suite)."
)
_BACKBONE = flags.DEFINE_string(
    "backbone", "mobilenet_v2", "Pretrained backbone, or a layer table with --weights."
)
_WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    "Local checkpoint: Keras .h5 or .keras, PyTorch .pth, TensorFlow .index or .pb, safetensors.",
)
_NORM = flags.DEFINE_enum(
    "norm",
    "frozen",
    NORM_MODES,
    "Norm statistics in training: the backbone's (frozen), each task's own, measured before the "
    "first step (calibrated), its batch moments (batch), or its running average (ema). Other than "
    "frozen, they ship with the patch.",
)
_SIZE = flags.DEFINE_integer("size", 64, "Side of the input images, in pixels.")
_AUGMENTATION = flags.DEFINE_enum(
    "augmentation",
    "none",
    list(POLICIES),
    "none; each task's own; that with wide crops, down to 35 % of the area, with changes of "
    "colour, or with one operation of TrivialAugment.",
)
_STEPS = flags.DEFINE_integer("steps", 1500, "Training steps.")
_GROUPS = flags.DEFINE_integer(
    "groups", 4, "Groups in a step, each of one task; shared out over devices."
)
_EXAMPLES = flags.DEFINE_integer("examples", 16, "Images in a group.")
_WARMUP = flags.DEFINE_float("warmup", 0.05, "Share of the steps over which rates rise.")
_DECAY = flags.DEFINE_float("weight_decay", 1e-4, "Decoupled weight decay of the heads.")
_SMOOTHING = flags.DEFINE_float("label_smoothing", 0.1, "Label smoothing.")
_SAMPLING = flags.DEFINE_enum("sampling", "uniform", SAMPLING, "How tasks are drawn.")
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 3.0, "With --sampling=temperature: 1 is proportional, large is uniform."
)
_REMATERIALISE = flags.DEFINE_bool(
    "rematerialise",
    False,
    "Compute each block again in the backward pass instead of keeping what is inside: less memory, "
    "more time.",
)
_ENCODING = flags.DEFINE_enum(
    "encoding",
    "float32",
    ENCODINGS,
    "How patch files store numbers. Scores are of the numbers as stored; other than with float32, "
    "the accuracy that this costs on validation is reported too.",
)
_PATCH_VERSION = flags.DEFINE_string(
    "patch_version",
    None,
    "Version of the patch files, 1.0.1 say, by default their tasks': devices that hold one refuse "
    "any that is lower.",
)
_TEACHER = flags.DEFINE_string(
    "teacher", None, "Folder of a finished run of the same tasks, whose probabilities are learned."
)
_DISTILLATION = flags.DEFINE_float(
    "distillation", 1.0, "With --teacher: its share of the loss; the labels have the rest."
)
_TRAIN_SHARED = flags.DEFINE_bool(
    "train_shared", False, "Train the shared weights too; they go to backbone.safetensors."
)
_SHARED_RATE = flags.DEFINE_float(
    "shared_learning_rate", 1e-4, "Peak rate of the shared weights, with --train_shared."
)
_WORKERS = flags.DEFINE_integer("workers", 0, "Processes that decode images; 0: threads.")


def settings(patch: str, seed: int, patch_rate: float, head_rate: float) -> Settings:
    """What the flags above say, and the rest from the command.

    Raises SettingError for a value out of its range, or one that nothing would use.
    """
    if flags.FLAGS["distillation"].present and not _TEACHER.value:
        raise SettingError("--distillation is a teacher's share of the loss: give --teacher too.")
    return Settings(
        backbone=_BACKBONE.value,
        weights=_WEIGHTS.value,
        patch=patch,
        size=_SIZE.value,
        groups=_GROUPS.value,
        examples=_EXAMPLES.value,
        sampling=_SAMPLING.value,
        temperature=_TEMPERATURE.value,
        seed=seed,
        data_dir=_DATA_DIR.value,
        augmentation=_AUGMENTATION.value,
        workers=_WORKERS.value,
        encoding=_ENCODING.value,
        train_shared=_TRAIN_SHARED.value,
        teacher=_TEACHER.value,
        patch_version=_PATCH_VERSION.value,
        recipe=Recipe(
            steps=_STEPS.value,
            patch_rate=patch_rate,
            head_rate=head_rate,
            shared_rate=_SHARED_RATE.value if _TRAIN_SHARED.value else 0.0,
            warmup=_WARMUP.value,
            head_decay=_DECAY.value,
            smoothing=_SMOOTHING.value,
            distillation=_DISTILLATION.value if _TEACHER.value else 0.0,
            norm=_NORM.value,  # type: ignore[arg-type]
            rematerialise=_REMATERIALISE.value,
        ),
    )
