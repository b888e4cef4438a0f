"""Which tasks a step trains: fixed sampling rules over the tasks' data sizes.

A scheduler is three pure functions over a state that checkpoints with the run; a rule that adapts
to losses fills `feedback`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from adapters.errors import ModelPatchError


class SamplingError(ModelPatchError):
    """Sizes or settings from which no sampling distribution follows."""


class Choice(NamedTuple):
    """What one step trains.

    Attributes:
      tasks: [groups] int32, a task id per group; repeats allowed.
      weights: [T] float32, how much each task's loss counts; they sum to T.
    """

    tasks: np.ndarray
    weights: np.ndarray


class Scheduler(NamedTuple):
    """How the next step's tasks are chosen.

    Attributes:
      init: () -> state, a JSON-able mapping.
      next: (state, seed, step, groups) -> (Choice, state); a function of its arguments alone.
      feedback: (state, {task id: {"loss": ..., "accuracy": ...}}) -> state.
    """

    init: Callable[[], Mapping[str, Any]]
    next: Callable[[Mapping[str, Any], int, int, int], tuple[Choice, Mapping[str, Any]]]
    feedback: Callable[[Mapping[str, Any], Mapping[int, Mapping[str, float]]], Mapping[str, Any]]


def uniform(sizes: Sequence[int], kinds: Sequence[str] = ()) -> Scheduler:
    """Every task alike, whatever its size.

    Here and below, `kinds` says of what kind each task's head is; by default all are of one. A step
    trains tasks of one kind, which is drawn first, as often as its tasks are wanted together.
    """
    return _fixed(np.ones(len(sizes)), sizes, kinds)


def proportional(sizes: Sequence[int], kinds: Sequence[str] = ()) -> Scheduler:
    """Tasks by their number of training examples."""
    return _fixed(np.asarray(sizes, np.float64), sizes, kinds)


def temperature(sizes: Sequence[int], tau: float, kinds: Sequence[str] = ()) -> Scheduler:
    """Tasks by size to the power 1/tau: tau 1 is proportional, large tau uniform.

    Used since multilingual BERT (Devlin et al., 2018) and T5 (Raffel et al., arXiv 1910.10683,
    section 3.5.2).
    """
    if not tau > 0:
        raise SamplingError(f"the sampling temperature must be above 0, not {tau}.")
    return _fixed(np.asarray(sizes, np.float64) ** (1 / tau), sizes, kinds)


def _fixed(shares: np.ndarray, sizes: Sequence[int], kinds: Sequence[str]) -> Scheduler:
    if not len(sizes) or min(sizes) < 1:
        raise SamplingError(f"every task needs a training example; their numbers: {list(sizes)}.")
    probabilities = shares / shares.sum()
    ones = np.ones(len(sizes), np.float32)
    members = [np.flatnonzero(np.asarray(kinds) == kind) for kind in sorted(set(kinds))]
    members = members or [np.arange(len(sizes))]
    of_kinds = [probabilities[own].sum() for own in members]

    def following(
        state: Mapping[str, Any], seed: int, step: int, groups: int
    ) -> tuple[Choice, Mapping[str, Any]]:
        if len(members) == 1:
            return Choice(_systematic(probabilities, seed, step, groups), ones), state
        kind = _generator(seed, step, _KIND).choice(len(members), p=of_kinds)
        own, within = members[kind], probabilities[members[kind]] / of_kinds[kind]
        return Choice(own[_systematic(within, seed, step, groups)].astype(np.int32), ones), state

    return Scheduler(dict, following, lambda state, figures: state)


def _systematic(probabilities: np.ndarray, seed: int, step: int, groups: int) -> np.ndarray:
    """Draws task ids with as little repetition as the probabilities allow.

    Systematic sampling (Madow, 1949): one uniform offset, `groups` equally spaced points on the
    cumulative distribution; task t appears floor or ceil of groups * p_t times. The order of tasks
    is shuffled each step, so that neighbours on the line do not exclude each other for ever.
    """
    generator = _generator(seed, step)
    order = generator.permutation(len(probabilities))
    points = (generator.random() + np.arange(groups)) / groups
    edges = np.cumsum(probabilities[order])
    drawn = order[np.minimum(np.searchsorted(edges, points, side="right"), len(order) - 1)]
    return np.sort(drawn).astype(np.int32)


_KIND = 1 << 63  # where in a step's random numbers the draw of a kind lies


def _generator(seed: int, step: int, place: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed, counter=(step << 64) + place))
