"""What may differ when a run goes on: how long it is."""

from collections.abc import Mapping
from typing import Any

from adapters.training.differences import Differences, flat

STEPS = "recipe.steps"
LENGTHS = (STEPS, "minutes", "patience")
"""Settings that say how long a run is, by their names in its record."""


def is_extended(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a run that was begun with the record `old` shall have other steps as `new`."""
    return flat(old).get(STEPS) != flat(new).get(STEPS)


def beyond_length(differing: Differences) -> Differences:
    """What differs between a run and what it shall go on as, but for how long it is.

    There may be more steps, not fewer; minutes and patience may be any.

    >>> beyond_length({"minutes": (1.0, 2.0), "recipe.steps": (30, 20), "seed": (0, 1)})
    {'recipe.steps': (30, 20), 'seed': (0, 1)}
    """
    return {
        name: (before, now)
        for name, (before, now) in differing.items()
        if name not in LENGTHS or (name == STEPS and before > now)
    }
