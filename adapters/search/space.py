"""A space of networks: decisions with named options. A route is one option of each."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adapters.errors import ModelPatchError


class SpaceError(ModelPatchError):
    """A space without a choice, or a route that is none of its own."""


class Unless(NamedTuple):
    """What makes a decision void: an earlier decision's option, both by number."""

    decision: int
    option: int


class Decision(NamedTuple):
    """One choice.

    Attributes:
      name: `block_03 kernel`, say; unique in its space.
      options: names, at least two.
      unless: it is asked only if that earlier decision took another option.
    """

    name: str
    options: tuple[str, ...]
    unless: Unless | None = None


class Space:
    """All routes through some decisions.

    A route is [D] int32, the number of an option for each decision; what void decisions hold is
    never read.

    Attributes:
      decisions: D of them.

    Raises SpaceError for a decision with fewer than two options, one that hangs on a later one or
    on one that hangs itself, or two of one name.
    """

    def __init__(self, decisions: Sequence[Decision]):
        self.decisions = tuple(decisions)
        names = [decision.name for decision in self.decisions]
        if len(set(names)) < len(names) or not names:
            raise SpaceError(f"a space needs decisions, each of its own name; its names: {names}.")
        for place, decision in enumerate(self.decisions):
            if len(decision.options) < 2:
                raise SpaceError(f"{decision.name} has {len(decision.options)} options: no choice.")
            before = decision.unless and decision.unless.decision
            if before is not None and (before >= place or self.decisions[before].unless):
                raise SpaceError(
                    f"{decision.name} must hang on a decision before it that itself hangs on none."
                )
        self._widths = np.array([len(decision.options) for decision in self.decisions])

    def __len__(self) -> int:
        return len(self.decisions)

    @property
    def widths(self) -> np.ndarray:
        """How many options each decision has, [D]."""
        return self._widths

    def active(self, route: jax.Array) -> jax.Array:
        """Which decisions of `route` [..., D] are asked, [..., D] bool; in JAX."""
        columns = []
        for decision in self.decisions:
            asked = jnp.ones(route.shape[:-1], bool)
            if decision.unless is not None:
                asked = route[..., decision.unless.decision] != decision.unless.option
            columns.append(asked)
        return jnp.stack(columns, axis=-1)

    def count(self) -> int:
        """How many routes differ in a decision that is asked."""
        total = 1
        for place, decision in enumerate(self.decisions):
            if decision.unless is None:
                total *= sum(self._below(place, option) for option in range(len(decision.options)))
        return total

    def _below(self, place: int, option: int) -> int:
        """Ways to decide what hangs on a decision that took `option`."""
        return math.prod(
            len(later.options)
            for later in self.decisions
            if later.unless is not None
            and later.unless.decision == place
            and later.unless.option != option
        )

    def check(self, route: np.ndarray) -> None:
        """Raises SpaceError unless `route` is one of this space."""
        found = np.asarray(route)
        if found.shape != (len(self.decisions),) or found.dtype.kind not in "iu":
            raise SpaceError(
                f"a route of this space has {len(self.decisions)} whole numbers, not "
                f"{found.dtype}{list(found.shape)}."
            )
        for decision, option in zip(self.decisions, found, strict=True):
            if not 0 <= option < len(decision.options):
                raise SpaceError(
                    f"{decision.name} has the options 0 to {len(decision.options) - 1}, not "
                    f"{option}."
                )

    def named(self, route: np.ndarray) -> dict[str, str]:
        """The options that `route` takes, without void decisions. Raises SpaceError."""
        self.check(route)
        asked = np.asarray(self.active(jnp.asarray(route)))
        return {
            decision.name: decision.options[int(option)]
            for decision, option, here in zip(self.decisions, route, asked, strict=True)
            if here
        }
