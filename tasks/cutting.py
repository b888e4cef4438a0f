"""Cutting a list into training, validation and test, alike on every machine."""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

SPLITS = ("train", "validation", "test")

FRACTIONS = (0.70, 0.15, 0.15)
"""Of a class: train, validation, test."""

Item = TypeVar("Item")


class Cut(NamedTuple):
    """How images that bring no splits are cut into some.

    Attributes:
      fractions: of a class to train, validate and test on; the last may be 0.
      seed: another one holds out others.
    """

    fractions: Sequence[float] = FRACTIONS
    seed: int = 0

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that have a fraction."""
        return SPLITS if self.fractions[2] else SPLITS[:2]

    def key(self, name: str) -> str:
        """What the hash is taken of, for an image of this name."""
        return f"{self.seed}/{name}" if self.seed else name


def needed(splits: Sequence[str]) -> str:
    """How many images a class needs to be cut, in words."""
    return f"{'three' if len(splits) == 3 else 'two'}, one for each of {', '.join(splits)}"


UNCHANGED = Cut()
"""How images are cut where nothing else is said."""


def fractions_fault(fractions: Sequence[float]) -> str:
    """What such fractions must be, if these are not; else ""."""
    sound = len(fractions) == 3 and all(math.isfinite(part) and part >= 0 for part in fractions)
    if sound and fractions[0] and fractions[1] and math.isclose(sum(fractions), 1.0):
        return ""
    return (
        "three that sum to 1, of each class to train, validate and test on; only the last may be 0"
    )


def cut_by_hash(
    items: Iterable[Item], key: Callable[[Item], str], fractions: Sequence[float] = FRACTIONS
) -> dict[str, list[Item]]:
    """Cuts three or more items into train, validation and test of about these fractions.

    None is empty whose fraction is above zero.
    The order in which they are cut is that of the SHA-256 of their keys: the same on every machine.
    """
    ordered = sorted(items, key=lambda item: _hash(key(item)))
    validation, test = _held_out(len(ordered), fractions)
    train = len(ordered) - validation - test
    cuts = (ordered[:train], ordered[train : train + validation], ordered[train + validation :])
    return dict(zip(SPLITS, cuts, strict=True))


def cut_groups(
    groups: Iterable[Sequence[Item]],
    key: Callable[[Item], str],
    fractions: Sequence[float] = FRACTIONS,
) -> dict[str, list[Item]]:
    """Cuts the items of three or more groups so that no group is on two sides.

    A group goes by the shortest key in it, so groups of one are cut as `cut_by_hash` cuts. One
    that is larger than what is held out trains: parts stay about as large as they should be.
    """
    known = list(groups)
    validation, test = _held_out(sum(map(len, known)), fractions)

    def order(group: Sequence[Item]) -> tuple[bool, bytes]:
        shortest = min(map(key, group), key=lambda name: (len(name), name))
        return len(group) <= max(validation, test), _hash(shortest)

    left = sorted(known, key=order)
    cut: dict[str, list[Item]] = {}
    for split, wanted, others in (("test", test, 2), ("validation", validation, 1)):
        start = len(left)
        while start > others and sum(map(len, left[start:])) < wanted:
            start -= 1
        cut[split] = [item for group in left[start:] for item in group]
        del left[start:]
    cut["train"] = [item for group in left for item in group]
    return {split: cut[split] for split in SPLITS}


def _held_out(count: int, fractions: Sequence[float]) -> tuple[int, int]:
    """How many of `count` validate and test."""
    validation, test = (max(1, round(count * part)) if part else 0 for part in fractions[1:])
    return validation, test


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
