"""A run as the command that repeats it."""

import dataclasses
import shlex
from collections.abc import Sequence

from adapters.experiment.settings import Settings
from launch.flag_names import flag_of
from launch.task_flags import joined

# In the order of `launch/train --help`, roughly; a stored command must not change by chance.
_ORDER = (
    *("backbone", "weights", "data_dir", "head", "patch", "norm", "size", "augmentation", "steps"),
    *("groups", "examples", "patch_rate", "head_rate", "shared_rate", "train_shared", "teacher"),
    *(
        "from_patch",
        "phrases",
        "distillation",
        "feature_matching",
        "matched_map",
        "anneal_distillation",
        "warmup",
        "head_decay",
        "smoothing",
        "rematerialise",
        "native_gradients",
        "sampling",
    ),
    *(
        "scheduler",
        "gradients",
        "references",
        "seed",
        "workers",
        "cache",
        "encoding",
        "patch_version",
        "precision",
        "balance",
    ),
    *("temperature_scaling", "checkpoint", "validations", "patience", "minutes", "share"),
)


def train_command(tasks: Sequence[str], settings: Settings) -> str:
    """The `launch/train` command that repeats a run with these settings, on `tasks` as typed."""
    values = {**dataclasses.asdict(settings), **dataclasses.asdict(settings.recipe)}
    if settings.teacher is None:
        for name in ("distillation", "anneal_distillation", "feature_matching", "matched_map"):
            del values[name]
    given = {flag_of(name): values[name] for name in _ORDER if values.get(name) is not None}
    typed = [f"--{flag}={_typed(value)}" for flag, value in given.items()]
    return shlex.join(["launch/train", f"--tasks={joined(tasks)}", *typed])


def _typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
