"""Each task's best step by its score on validation, and what it had trained by then.

Patches and heads are each task's own, and so is its best step. Where leaves that all tasks share
are trained too, they are of one step, and so is everything: that of the highest mean score. Of
equal scores the later step is taken: small validation splits tell steps apart coarsely, and rates
have fallen since.
"""

import dataclasses
import math
import operator
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adapters.heads.together import TaskHeads
from adapters.training.state import State


class Leaves(NamedTuple):
    """What training moves and files hold, as in `State`; of each task as it was at its own step."""

    patches: Any
    heads: Any
    shared: Any


@dataclasses.dataclass(frozen=True)
class Best:
    """The best of the evaluations so far.

    Attributes:
      scores: {task: its score at its best step}; empty before the first evaluation.
      steps: {task: how many steps were done then}.
      without: how many evaluations since then made no task any better.
      leaves: what the tasks had trained at those steps, numpy arrays; None where that is not kept.
    """

    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    steps: Mapping[str, int] = dataclasses.field(default_factory=dict)
    without: int = 0
    leaves: Leaves | None = None

    def to_json(self) -> dict[str, Any]:
        """All but the leaves, which are arrays."""
        return {"scores": dict(self.scores), "steps": dict(self.steps), "without": self.without}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], leaves: Leaves | None) -> "Best":
        """What `to_json` made `value` of, with the leaves that `stored` gave."""
        return cls(**value, leaves=leaves if value["steps"] else None)


def updated(
    best: Best,
    scores: Mapping[str, float],
    state: State,
    step: int,
    tasks: Sequence[str],
    heads: TaskHeads,
    keep: bool,
) -> Best:
    """`best` after one more evaluation.

    Args:
      best: of the evaluations before.
      scores: of this one, by task.
      state: that was scored.
      step: how many steps are done.
      tasks, heads: in the order of the state's rows.
      keep: whether to keep the leaves, too.
    """
    together = bool(jax.tree.leaves(state.shared))
    taken = _those(operator.ge, best.scores, scores, together)
    leaves = None
    if keep:
        earlier = leaves_of(state) if best.leaves is None else best.leaves
        leaves = _mixed(earlier, leaves_of(state), taken, tasks, heads)
    return Best(
        {**best.scores, **{task: scores[task] for task in taken}},
        {**best.steps, **dict.fromkeys(taken, step)},
        0 if _those(operator.gt, best.scores, scores, together) else best.without + 1,
        leaves,
    )


def shipped(best: Best, state: State, tasks: Sequence[str], heads: TaskHeads) -> State:
    """`state` with what each task had trained at its best step; of one never scored, the last."""
    if best.leaves is None:
        return state
    mixed = _mixed(leaves_of(state), best.leaves, set(best.steps), tasks, heads)
    return state._replace(**mixed._asdict())


def stored(best: Best, state: State) -> Leaves:
    """The leaves as a checkpoint stores them; before the first evaluation, those of `state`."""
    return leaves_of(state) if best.leaves is None else jax.tree.map(jnp.asarray, best.leaves)


def leaves_of(state: State) -> Leaves:
    """The leaves of a state as they are."""
    return Leaves(state.patches, state.heads, state.shared)


def _those(
    compared: Callable[[Any, Any], bool],
    before: Mapping[str, float],
    now: Mapping[str, float],
    together: bool,
) -> Set[str]:
    """The tasks whose score now compares so to the one before; `together`: whose mean does."""
    if not together:
        return {task for task, own in now.items() if compared(_rank(own), _rank(before.get(task)))}
    means = [
        _rank(float(np.mean([*scores.values()]))) if scores else _rank(None)
        for scores in (before, now)
    ]
    return set(now) if compared(means[1], means[0]) else set()


def _rank(score: float | None) -> tuple[bool, float]:
    """What scores are compared by: any is better than none, and every number than NaN."""
    if score is None:
        return False, 0.0
    return True, -math.inf if math.isnan(score) else float(score)


def _mixed(
    before: Leaves, now: Leaves, chosen: Set[str], tasks: Sequence[str], heads: TaskHeads
) -> Leaves:
    """`before`, with the rows of the `chosen` tasks, and what all share, of `now`."""
    own = np.asarray([task in chosen for task in tasks])

    def rows(here: np.ndarray[Any, Any]) -> Any:
        def one(old: Any, new: Any) -> np.ndarray[Any, Any]:
            return np.where(here.reshape(-1, *[1] * (np.ndim(old) - 1)), new, old)

        return one

    def head(kind: str) -> Any:
        owned = np.isin(heads.layout(kind).owners, np.flatnonzero(own))
        return jax.tree.map(rows(owned), before.heads[kind], now.heads[kind])

    return Leaves(
        jax.tree.map(rows(own), before.patches, now.patches),
        {kind: head(kind) for kind in before.heads},
        jax.tree.map(np.array, now.shared if chosen else before.shared),
    )
