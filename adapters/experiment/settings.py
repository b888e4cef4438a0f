"""What defines a run."""

import dataclasses
import math
import numbers
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from adapters.errors import ModelPatchError, UnknownNameError
from adapters.heads import registry as heads
from adapters.scheduling import registry
from adapters.store.encoding import ENCODINGS
from adapters.store.versions import version_key
from adapters.training.recipe import Recipe
from adapters.vocabulary import NORM_MODES, PRECISIONS
from tasks.augmentation import POLICIES
from tasks.task import Task

BALANCES = ("none", "classes")
CHECKPOINTS = ("best", "last")
SHARED_RATE, DISTILLATION = 1e-4, 1.0  # where shared weights are trained; where there is a teacher


class SettingError(ModelPatchError):
    """A setting out of its range; its name comes first in `settings`, then those of `others`."""

    def __init__(self, setting: str, said: str, *others: str):
        super().__init__(f"the setting {setting} {said}", settings=[setting, *others])


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that defines a run.

    Attributes:
      backbone: pretrained weights by name, or a layer table with `weights`; either with a neck,
        `mobilenet_v2+lraspp`, say, which is trained at the head's rate where `weights` lack it.
      weights: a local checkpoint file, where the backbone brings none.
      head: of tasks whose own is of the same kind, instead of that: the text of a head that reads
        other maps, `segmentation(high=neck_01)`, say.
      patch: what each task trains, as a spec; see `adapters.patches.registry.text_of` for patches
        without one.
      size: side of the input images, in pixels, of tasks without a size of their own.
      groups: of images of one task in a step; shared out over devices.
      examples: images in a group.
      sampling: how tasks are drawn, as a spec of `adapters.scheduling.registry`: `uniform`,
        `unimax(repeats=50)`, or by priorities that adapt, `balanced(floor=0.3)`.
      scheduler: how much each task's loss counts for shared weights, `balanced(floor=0.3)` say.
      gradients: how the tasks' gradients of shared weights become one, `pcgrad` say.
      references: results of runs of single tasks, for rules that go by what each reaches alone: a
        CSV file, or the folder of a run.
      seed: the same one gives the same bytes.
      data_dir: folder with prepared TFDS data sets.
      augmentation: how training images vary, one of `tasks.augmentation.POLICIES`.
      workers: processes that decode images for this one; 0: threads.
      cache: whether what is the same in every epoch is computed once and kept: see
        `adapters.experiment.computed_once`.
      encoding: how patch files store numbers, one of `adapters.store.encoding.ENCODINGS`.
      train_shared: whether the weights that all tasks share are trained too.
      recipe: of the optimisation.
      teacher: folder of a finished run of the same tasks, or of one folder TASK a task, each with a
        finished run of its own; their probabilities are learned.
      from_patch: a patch file that every task begins with; a label that the file has keeps its
        output.
      phrases: texts, with commas between, that tasks with queries can be asked for beside their
        labels; training never says them: `vehicle, lorry`.
      patch_version: of the patch files, by default their tasks'.
      balance: what is learned as if there were as many images of each, one of `BALANCES`.
      temperature_scaling: whether a head's weights are divided by a temperature, chosen on
        validation so that it is as sure of its answers as they are right.
      checkpoint: what ships, one of `CHECKPOINTS`: of each task the weights of its best step by its
        score on validation (where shared weights are trained, all of one step, the best by the mean
        score; the later of equal ones), or those of the last step; by default
        `default_checkpoint(patch)`.
      validations: how often validation is scored while training, evenly over the steps; 0: not at
        all, and the last step ships.
      patience: validations in a row that give no task a higher score (where shared weights are
        trained: no higher mean) after which the run ends; 0: it does not.
      minutes: of training, those before it was resumed included, after which the run ends with
        the step that it is at. Learning rates follow `steps` all the same. 0: it does not.
      share: of each task's training images that are used, see `tasks.shares.with_share`; `seed`
        chooses them.

    Raises SettingError, UnknownNameError or VersionError for a value out of its range, and for a
    head as `adapters.heads.registry.from_spec` does.
    """

    backbone: str = "mobilenet_v2"
    weights: str | None = None
    head: str | None = None
    patch: str = "scale_bias"
    size: int = 64
    groups: int = 4
    examples: int = 16
    sampling: str = "uniform"
    scheduler: str = "unit"
    gradients: str = "sum"
    references: str | None = None
    seed: int = 0
    data_dir: str | None = None
    augmentation: str = "none"
    workers: int = 0
    cache: bool = True
    encoding: str = "float32"
    train_shared: bool = False
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    teacher: str | None = None
    from_patch: str | None = None
    phrases: str | None = None
    patch_version: str | None = None
    balance: str = "none"
    temperature_scaling: bool = False
    checkpoint: str | None = None
    validations: int = 5
    patience: int = 0
    minutes: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        recipe = self.recipe
        _check("size", self.size, self.size >= 1, "1 or more")
        _check("groups", self.groups, self.groups >= 1, "1 or more")
        _check("examples", self.examples, self.examples >= 1, "1 or more")
        _check("seed", self.seed, self.seed >= 0, "0 or more")
        _check("workers", self.workers, self.workers >= 0, "0 or more")
        _check("validations", self.validations, self.validations >= 0, "0 or more")
        _check("patience", self.patience, self.patience >= 0, "0 or more")
        _check("minutes", self.minutes, 0 <= self.minutes < math.inf, "0 or more")
        _check("share", self.share, 0 < self.share <= 1, "above 0, at most 1")
        _check("steps", recipe.steps, recipe.steps >= 1, "1 or more")
        _check("warmup", recipe.warmup, 0 <= recipe.warmup < 1, "from 0 to below 1")
        share = recipe.distillation
        _check("distillation", share, 0 <= share <= 1, "from 0 to 1")
        matches = recipe.feature_matching
        _check("feature_matching", matches, 0 <= matches < math.inf, "0 or more")
        _check("smoothing", recipe.smoothing, 0 <= recipe.smoothing < 1, "from 0 to below 1")
        for name in ("patch_rate", "head_rate", "shared_rate", "head_decay"):
            rate = getattr(recipe, name)
            _check(name, rate, 0 <= rate < math.inf, "0 or more")
        if self.patch_version is not None:
            version_key(self.patch_version)
        devices = jax.device_count()
        if self.groups % devices:
            raise SettingError(
                "groups",
                f"is {self.groups}, which {devices} devices cannot share: choose a multiple.",
            )
        if recipe.norm not in NORM_MODES:
            raise UnknownNameError("norm mode", recipe.norm, NORM_MODES)
        if recipe.precision not in PRECISIONS:
            raise UnknownNameError("precision", recipe.precision, PRECISIONS)
        if self.head is not None:
            heads.from_spec(self.head)
        registry.check(self.sampling, self.scheduler, self.gradients)
        if self.augmentation not in POLICIES:
            raise UnknownNameError("augmentation", self.augmentation, POLICIES)
        if self.checkpoint is not None and self.checkpoint not in CHECKPOINTS:
            raise UnknownNameError("checkpoint", self.checkpoint, CHECKPOINTS)
        if self.patience and not self.validations:
            raise SettingError(
                "patience", "counts validations, of which there are none.", "validations"
            )
        if self.balance not in BALANCES:
            raise UnknownNameError("balance", self.balance, BALANCES)
        if self.balance == "classes" and self.teacher is not None and recipe.distillation == 1:
            raise SettingError(
                "balance",
                "is of labels, and a teacher's probabilities have the whole loss: lower the "
                "distillation, or balance the teacher.",
                "distillation",
            )
        if self.encoding not in ENCODINGS:
            raise UnknownNameError("encoding", self.encoding, ENCODINGS)

    def sizes(self, tasks: Sequence[Task]) -> list[int]:
        """The side of each task's images, in pixels."""
        return [task.size or self.size for task in tasks]

    @property
    def ships_best(self) -> bool:
        """Whether what ships is chosen on validation; else it is the last step."""
        chosen = self.checkpoint or default_checkpoint(self.patch)
        return chosen == "best" and self.validations > 0


_OWN = {field.name: field.default for field in dataclasses.fields(Settings)}
_RECIPE = {field.name: field.default for field in dataclasses.fields(Recipe)}
DEFAULTS: Mapping[str, Any] = {k: v for k, v in (_OWN | _RECIPE).items() if k != "recipe"}
"""Every setting by its name, those of the recipe among them, with its default."""


def settings_of(**values: Any) -> Settings:
    """Settings from fields of `Settings` and of `Recipe`, all by name; None is as if not given.

    What is not given has its default, and three defaults look at the rest: `patch_rate` is
    `default_rate(patch)`, `shared_rate` is `SHARED_RATE` where shared weights are trained, and
    `distillation` is `DISTILLATION` where there is a teacher.

    Raises:
      UnknownNameError: there is no such setting; near names are offered.
      SettingError: a value of the wrong kind, out of its range, or that nothing would use.

    >>> settings_of(patch="full", steps=300).recipe.patch_rate
    0.001
    """
    for name in values:
        if name not in DEFAULTS:
            raise UnknownNameError("setting", name, DEFAULTS)
    given = {name: _of_kind(name, v) for name, v in values.items() if v is not None}
    if given.get("distillation") and "teacher" not in given:
        raise SettingError("distillation", "is a teacher's share of the loss: give a teacher too.")
    if given.get("anneal_distillation") and "teacher" not in given:
        raise SettingError(
            "anneal_distillation", "is of a teacher's share of the loss: give a teacher too."
        )
    if given.get("feature_matching") and "teacher" not in given:
        raise SettingError(
            "feature_matching", "is of a teacher's maps: give a teacher too.", "teacher"
        )
    named = given.get("matched_map", DEFAULTS["matched_map"])
    if named != DEFAULTS["matched_map"] and not given.get("feature_matching"):
        raise SettingError(
            "matched_map", "says where a teacher is matched: give feature_matching too."
        )
    if given.get("shared_rate") and not given.get("train_shared"):
        raise SettingError("shared_rate", "is of the shared weights: give train_shared too.")
    given.setdefault("patch_rate", default_rate(given.get("patch", DEFAULTS["patch"])))
    if given.get("train_shared"):
        given.setdefault("shared_rate", SHARED_RATE)
    if "teacher" in given:
        given.setdefault("distillation", DISTILLATION)
    recipe = Recipe(**{name: value for name, value in given.items() if name in _RECIPE})
    own = {name: value for name, value in given.items() if name not in _RECIPE}
    return Settings(**own, recipe=recipe)


def default_rate(patch: str) -> float:
    """The patches' peak learning rate unless one is given: small for the whole network.

    Chosen for `scale_bias` on validation of the pocket suite after 300 steps: 3e-3 is the best
    or 0.6 % below it on each of four backbones (results/learning_rates.csv).
    For `full`, after 60 steps only: 1e-3 gives 77.3 %, 3e-3 64.3 %.
    """
    return 1e-3 if re.search(r"\bfull\b", patch) else DEFAULTS["patch_rate"]


def default_checkpoint(patch: str) -> str:
    """What ships unless it is said: the best step, but the last of what learns how large it is.

    Such a patch is best before its size counts.
    """
    return "last" if re.search(r"\bspotpatch\b", patch) else "best"


def _check(setting: str, value: float, holds: bool, allowed: str) -> None:
    if not holds:  # NaN holds nowhere
        raise SettingError(setting, f"must be {allowed}, not {value}.")


def _of_kind(name: str, value: Any) -> Any:
    """`value` as the plain Python value that a run's record holds."""
    default, is_truth = DEFAULTS[name], isinstance(value, bool)
    if isinstance(default, bool):
        kind, plain = "True or False", value if is_truth else None
    elif isinstance(default, int):
        whole = isinstance(value, numbers.Integral) and not is_truth
        kind, plain = "a whole number", int(value) if whole else None
    elif isinstance(default, float):
        real = isinstance(value, numbers.Real) and not is_truth
        kind, plain = "a number", float(value) if real else None
    else:
        kind, plain = "a text", os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if plain is None:
        raise SettingError(name, f"must be {kind}, not {value!r}.")
    return plain
