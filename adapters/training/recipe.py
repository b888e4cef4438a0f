"""Everything about a run's optimisation that is not data, and where in it a step stands."""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np

from adapters.errors import ModelPatchError
from adapters.training.optimiser import warm_cosine
from adapters.vocabulary import MEASURING, NormMode, Precision


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything about a run's optimisation that is not data.

    Attributes:
      steps: of the whole run; learning rates follow step / steps.
      patch_rate, head_rate, shared_rate: peak learning rates; that of patches in the units of
        `Patch.rates`. By default those that suit `scale_bias`.
      warmup: share of the run over which rates rise.
      head_decay: decoupled weight decay of the head.
      smoothing: label smoothing.
      distillation: share of the loss whose targets are a teacher's probabilities.
      feature_matching: how much the distance between the student's and its teacher's maps counts,
        beside the rest of the loss; see `matching`.
      matched_map: which map that is; see `adapters.backbones.taps`.
      anneal_distillation: whether both fall to nothing at the end of the run, in a line.
      norm: mode of the norms while training.
      rematerialise: whether blocks are computed again in the backward pass, to save memory; not in
        modes that measure, whose norms look at the whole batch.
      precision: of the frozen network's kernels and activations in a training step: `float32`, or
        `bfloat16`, which GPUs and TPUs are fastest with. What is trained, norms, losses and
        optimiser stay float32, and so do validation and all that a file promises.
      native_gradients: whether C++ code computes the gradients of norms and depthwise layers, which
        a compiler is needed for; on one CPU device.
      statistics_decay: how much of the old norm statistics a step keeps, in modes that measure.
    """

    steps: int = 1500
    patch_rate: float = 3e-3
    head_rate: float = 3e-3
    shared_rate: float = 0.0
    warmup: float = 0.05
    head_decay: float = 1e-4
    smoothing: float = 0.1
    distillation: float = 0.0
    feature_matching: float = 0.0
    matched_map: str = "features"
    anneal_distillation: bool = False
    norm: NormMode = "frozen"
    rematerialise: bool = False
    precision: Precision = "float32"
    native_gradients: bool = False
    statistics_decay: float = 0.95

    def __post_init__(self) -> None:
        if self.rematerialise and self.norm in MEASURING:
            raise RematerialiseError(
                f"norms in mode {self.norm!r} look at the whole batch, so that no block can be "
                "computed again alone: rematerialise with frozen or calibrated norms."
            )


class RematerialiseError(ModelPatchError):
    """Rematerialisation with norms that look beyond one image."""


class Schedule(NamedTuple):
    """Where a step stands in its run, float32 scalars: an argument, so that no rate is compiled in.

    Attributes:
      progress: share of the run that is done, in [0, 1).
      patch_rate, head_rate, shared_rate: this step's learning rates.
    """

    progress: jax.Array | np.float32
    patch_rate: jax.Array | np.float32
    head_rate: jax.Array | np.float32
    shared_rate: jax.Array | np.float32


def schedule(recipe: Recipe, step: int) -> Schedule:
    """The schedule of the step after `step` steps."""
    progress = step / recipe.steps
    peaks = (recipe.patch_rate, recipe.head_rate, recipe.shared_rate)
    rates = (warm_cosine(progress, peak, recipe.warmup) for peak in peaks)
    return Schedule(np.float32(progress), *map(np.float32, rates))
