"""Tasks drawn for a step, with as little repetition as their shares allow."""

from collections.abc import Sequence

import numpy as np

_KIND = 1 << 63  # where in a step's random numbers the draw of a kind lies


def drawn(
    shares: np.ndarray, kinds: Sequence[str], seed: int, step: int, groups: int
) -> np.ndarray:
    """A task id per group, [groups] int32, sorted: a function of its arguments alone.

    `shares` [T] are positive and sum to 1. A step trains tasks of one kind of `kinds` [T], which is
    drawn first, as often as its tasks are wanted together.
    """
    members = [np.flatnonzero(np.asarray(kinds) == kind) for kind in sorted(set(kinds))]
    if len(members) == 1:
        return _systematic(shares, seed, step, groups)
    of_kinds = [shares[own].sum() for own in members]
    kind = _generator(seed, step, _KIND).choice(len(members), p=of_kinds)
    own, within = members[kind], shares[members[kind]] / of_kinds[kind]
    return own[_systematic(within, seed, step, groups)].astype(np.int32)


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
    found = order[np.minimum(np.searchsorted(edges, points, side="right"), len(order) - 1)]
    return np.sort(found).astype(np.int32)


def _generator(seed: int, step: int, place: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed, counter=(step << 64) + place))
